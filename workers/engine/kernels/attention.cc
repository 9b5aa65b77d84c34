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
  template <class Element>
  void attend(tf::OpKernelContext *context, const Sizes &sizes, const Unit &unit, tf::Tensor *o, tf::Tensor *l) const {
    const TileOperations &operations = tile_operations();
    const std::vector<int64_t> first = first_visible(context->input(3), sizes, unit.row);
    const HeadMatrix<Element> k(context->input(1), sizes, unit.kv(sizes));
    HeadMatrix<Element> v(context->input(2), sizes, unit.kv(sizes));
    const auto keys = k.transposed();
    const int64_t inner = k.words_per_token();
    std::vector<float> s(kQueries * sizes.padded_length), o_block(kQueries * sizes.stride);
    std::vector<Word<Element>> memory;
    for (int64_t head = unit.first; head < unit.first + unit.heads; head++) {
      const float sink = context->num_inputs() == 4 ? -std::numeric_limits<float>::infinity() : context->input(4).flat<float>()(head);
      const Head query_head{unit.row, head, sizes.heads};
      const HeadMatrix<Element> q(context->input(0), sizes, query_head);
      float *logs = l->flat<float>().data() + (unit.row * sizes.heads + head) * sizes.length;
      for (int64_t query = 0; query < sizes.length; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        const Columns columns = needed_columns(first, query, count);
        multiply<Element>(q.rows(query), inner, keys.get() + columns.first, sizes.padded_length, s.data(), count, inner, columns.count);
        if (soft_cap_ != 0) apply_cap(s.data(), count * columns.count);
        float sums[kQueries];
        for (int64_t i = 0; i < count; i++) {
          const auto [scores, visible] = mask_scores(s.data() + i * columns.count, columns, first[query + i], query + i);
          const float largest = std::max(operations.reduction[kMax](scores, visible) * exponent_factor(), sink);
          operations.exponentials(scores, exponent_factor(), largest, scores, visible);
          sums[i] = operations.reduction[kSum](scores, visible) + std::exp(sink - largest);
          logs[query + i] = largest + std::log(sums[i]);
        }
        const auto p = pack_rows<Element>(s.data(), count, columns.count, &memory);
        multiply<Element>(p.data, p.stride, v.interleaved(columns.first), sizes.stride, o_block.data(), count, word_count<Element>(columns.count),
                          sizes.stride);
        for (int64_t i = 0; i < count; i++) {
          float *o_row = o_block.data() + i * sizes.stride;
          operations.vector_scalar[kMul](o_row, 1.0f / sums[i], o_row, sizes.stride);
        }
        write_head(o_block.data(), sizes, query_head, query, count, o);
      }
    }
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
