// Attention as attention.h describes it, forward.
#include "attention.h"

#include <cmath>

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
    if (!sizes_of(context, &sizes)) return;
    tf::Tensor *o = nullptr, *l = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(0).shape(), &o));
    OP_REQUIRES_OK(context, context->allocate_output(1, {sizes.rows, sizes.heads, sizes.length}, &l));
    for_units(context, sizes, 2 * sizes.length,
              [&](const Unit &unit) { with_number_of(*o, [&](auto number) { of_heads<decltype(number)>(context, sizes, unit, o, l); }); });
  }

 private:
  template <class Number>
  void of_heads(tf::OpKernelContext *context, const Sizes &sizes, const Unit &unit, tf::Tensor *o, tf::Tensor *l) const {
    const TileOperations &operations = tile_operations();
    const std::vector<int64_t> first = first_seen(context->input(3), sizes, unit.row);
    const HeadMatrix<Number> k(context->input(1), sizes, unit.keys(sizes));
    HeadMatrix<Number> v(context->input(2), sizes, unit.keys(sizes));
    const auto keys = k.turned();
    const int64_t inner = k.words_of_row();
    std::vector<float> s(kQueries * sizes.keys), of_o(kQueries * sizes.stride);
    std::vector<Word<Number>> memory;
    for (int64_t head = unit.first; head < unit.first + unit.heads; head++) {
      const Place place{unit.row, head, sizes.heads};
      const HeadMatrix<Number> q(context->input(0), sizes, place);
      float *logs = l->flat<float>().data() + (unit.row * sizes.heads + head) * sizes.length;
      for (int64_t query = 0; query < sizes.length; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        const Columns columns = columns_of(first, query, count);
        product<Number>(q.along(query), inner, keys.get() + columns.first, sizes.keys, s.data(), count, inner, columns.count);
        if (soft_cap_ != 0) under_cap(s.data(), count * columns.count);
        float sums[kQueries];
        for (int64_t i = 0; i < count; i++) {
          const auto [of_row, seen] = clear_unseen(s.data() + i * columns.count, columns, first[query + i], query + i);
          const float largest = operations.reduction[kMax](of_row, seen) * factor();
          operations.exponentials(of_row, factor(), largest, of_row, seen);
          sums[i] = operations.reduction[kSum](of_row, seen);
          logs[query + i] = largest + std::log(sums[i]);
        }
        const auto p = along_rows<Number>(s.data(), count, columns.count, &memory);
        product<Number>(p.data, p.stride, v.across(columns.first), sizes.stride, of_o.data(), count, words<Number>(columns.count), sizes.stride);
        for (int64_t i = 0; i < count; i++) {
          float *of_row = of_o.data() + i * sizes.stride;
          operations.vector_scalar[kMul](of_row, 1.0f / sums[i], of_row, sizes.stride);
        }
        write_head(of_o.data(), sizes, place, query, count, o);
      }
    }
  }
};

REGISTER_OP("GraftAttention")
    .Input("q: T")
    .Input("k: T")
    .Input("v: T")
    .Input("segments: int32")
    .Output("o: T")
    .Output("l: float")
    .Attr("T: {float, bfloat16}")
    .Attr("scale: float")
    .Attr("soft_cap: float")
    .Attr("window: int")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftAttention").Device(tf::DEVICE_CPU), AttentionForward);

}  // namespace
}  // namespace graft
