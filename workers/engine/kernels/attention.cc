// The forward pass of attention.h.
#include "attention.h"

#include <cmath>
#include <limits>

#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

class AttentionForward : public Attention {
 public:
  using Attention::Attention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!read_sizes(context, &sizes) || !check_sinks(context, sizes)) return;
    tf::Tensor *o = nullptr, *l = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &o));
    OP_REQUIRES_OK(context, context->allocate_output(1, {sizes.rows, sizes.heads, sizes.length}, &l));
    for_each_unit(context, sizes, 2 * sizes.length,
                  [&](const Unit &unit) { with_element_type(*o, [&](auto element) { attend<decltype(element)>(context, sizes, unit, o, l); }); });
  }

 private:
  // Of each query in a block: the largest score so far, and the sum of all e^(score − largest).
  struct Softmax {
    float largest[kQueries], sums[kQueries];
  };

  template <class Element>
  void attend(tf::OpKernelContext *context, const Sizes &sizes, const Unit &unit, tf::Tensor *o, tf::Tensor *l) const {
    const std::vector<int64_t> first = first_visible(context->input(3), sizes, unit.row);
    const HeadMatrix<Element> k(context->input(1), sizes, unit.kv(sizes));
    HeadMatrix<Element> v(context->input(2), sizes, unit.kv(sizes));
    const auto keys = k.transposed();
    const int64_t inner = k.words_per_token();
    const auto s = floats(kQueries * kScoreStride), o_block = floats(kQueries * sizes.stride);
    std::vector<Word<Element>> memory;
    for (int64_t head = unit.first_head; head < unit.first_head + unit.heads; head++) {
      const float sink = context->num_inputs() == 4 ? -std::numeric_limits<float>::infinity() : context->input(4).flat<float>()(head);
      const Head query_head{unit.row, head, sizes.heads};
      const HeadMatrix<Element> q(context->input(0), sizes, query_head);
      float *logs = l->flat<float>().data() + (unit.row * sizes.heads + head) * sizes.length;
      for (int64_t query = unit.begin; query < unit.end; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        Softmax softmax;
        std::fill_n(softmax.largest, count, sink);
        std::fill_n(softmax.sums, count, context->num_inputs() == 4 ? 0.0f : 1.0f);
        bool is_first = true;
        for_each_strip(first, query, count, [&](Strip strip) {
          multiply_with_strip<Element>(q.rows(query), count, keys.get(), inner, strip, s.get());
          if (soft_cap_ != 0) apply_cap(s.get(), count, strip);
          for (int64_t i = 0; i < count; i++) {
            const Visible visible = mask_scores(s.get() + i * kScoreStride, strip, first[query + i], query + i);
            add_scores(visible, &softmax.largest[i], &softmax.sums[i], o_block.get() + i * sizes.stride, is_first ? 0 : sizes.stride);
          }
          add_product_of_scores<Element>(s.get(), count, strip, &v, sizes, is_first, o_block.get(), &memory);
          is_first = false;
        });
        for (int64_t i = 0; i < count; i++) {
          float *o_row = o_block.get() + i * sizes.stride;
          tile_operations().vector_scalar[kMul](o_row, 1.0f / softmax.sums[i], o_row, sizes.stride);
          logs[query + i] = softmax.largest[i] + std::log(softmax.sums[i]);
        }
        write_head(o_block.get(), sizes, query_head, query, count, o);
      }
    }
  }

  // Replaces more scores of one query with e^(score − largest). Where one of them is the new largest, what was summed before is scaled to it: the
  // sum, and the `n` elements of O.
  void add_scores(Visible visible, float *largest, float *sum, float *o, int64_t n) const {
    if (visible.count == 0) return;
    const TileOperations &operations = tile_operations();
    const float larger = operations.reduction[kMax](visible.scores, visible.count) * exponent_factor();
    if (larger > *largest) {
      const float factor = std::exp(*largest - larger);
      *sum *= factor;
      operations.vector_scalar[kMul](o, factor, o, n);
      *largest = larger;
    }
    *sum += operations.exponentials(visible.scores, exponent_factor(), *largest, visible.scores, visible.count);
  }
};

REGISTER_OP("GraftAttention")
    .Input("q: T")
    .Input("k: T")
    .Input("v: T")
    .Input("segments: int32")
    .Input("sinks: N * float")
    .Output("o: T")
    .Output("l: float")
    .Attr("T: {float, bfloat16}")
    .Attr("N: int >= 0")
    .Attr("scale: float")
    .Attr("soft_cap: float")
    .Attr("window: int")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftAttention").Device(tf::DEVICE_CPU), AttentionForward);

}  // namespace
}  // namespace graft
