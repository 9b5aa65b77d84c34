// The gradient of attention.h, from what was given to it, the logarithms that it gave and the gradient of its result.
#include <memory>

#include "absl/strings/str_cat.h"
#include "attention.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

class AttentionBackward : public Attention {
 public:
  using Attention::Attention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!sizes_of(context, &sizes)) return;
    const tf::TensorShape &of_q = context->input(0).shape(), &of_k = context->input(1).shape();
    OP_REQUIRES(context, context->input(4).NumElements() == sizes.rows * sizes.heads * sizes.length && context->input(5).shape() == of_q,
                absl::InvalidArgumentError(absl::StrCat(name(), " of tensors that do not fit")));
    tf::Tensor *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, of_q, &d_q));
    OP_REQUIRES_OK(context, context->allocate_output(1, of_k, &d_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, of_k, &d_v));
    // What the query heads add to their key head's, in parts that are summed in one order.
    const int64_t of_head = sizes.keys * sizes.stride, parts = parts_of(sizes);
    const std::unique_ptr<float[]> partial(new float[sizes.rows * sizes.kv_heads * parts * 2 * of_head]);
    const auto finish = [&](int64_t row, int64_t kv_head) {
      const TileOperations &operations = tile_operations();
      float *d_keys = partial.get() + (row * sizes.kv_heads + kv_head) * parts * 2 * of_head, *d_values = d_keys + of_head;
      for (int64_t part = 1; part < parts; part++) operations.vector_vector[kAdd](d_keys, d_keys + part * 2 * of_head, d_keys, 2 * of_head);
      operations.vector_scalar[kMul](d_keys, scale_, d_keys, of_head);
      write_head(d_keys, sizes, {row, kv_head, sizes.kv_heads}, 0, sizes.length, d_k);
      write_head(d_values, sizes, {row, kv_head, sizes.kv_heads}, 0, sizes.length, d_v);
    };
    for_units(context, sizes, 5 * sizes.length, [&](const Unit &unit) {
      float *d_keys = partial.get() + unit.index * 2 * of_head;
      std::fill(d_keys, d_keys + 2 * of_head, 0.0f);
      with_number_of(*d_q, [&](auto number) { gradients<decltype(number)>(context, sizes, unit, d_q, d_keys, d_keys + of_head); });
      if (parts == 1) finish(unit.row, unit.kv_head);
    });
    for (int64_t i = 0; parts > 1 && i < sizes.rows * sizes.kv_heads; i++) finish(i / sizes.kv_heads, i % sizes.kv_heads);
  }

 private:
  template <class Number>
  void gradients(tf::OpKernelContext *context, const Sizes &sizes, const Unit &unit, tf::Tensor *d_q, float *d_keys, float *d_values) const {
    const std::vector<int64_t> first = first_seen(context->input(3), sizes, unit.row);
    HeadMatrix<Number> k(context->input(1), sizes, unit.keys(sizes));
    const HeadMatrix<Number> v(context->input(2), sizes, unit.keys(sizes));
    const auto keys = k.turned(), values = v.turned();
    const int64_t inner = k.words_of_row();
    const size_t of_block = kQueries * sizes.keys;
    std::vector<float> p(of_block), d_s(of_block), of_dq(kQueries * sizes.stride);
    std::vector<Word<Number>> memory;
    for (int64_t head = unit.first; head < unit.first + unit.heads; head++) {
      const Place place{unit.row, head, sizes.heads};
      HeadMatrix<Number> q(context->input(0), sizes, place), d_o(context->input(5), sizes, place);
      const float *logs = context->input(4).flat<float>().data() + (unit.row * sizes.heads + head) * sizes.length;
      for (int64_t query = 0; query < sizes.length; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        const Columns columns = columns_of(first, query, count);
        product<Number>(q.along(query), inner, keys.get() + columns.first, sizes.keys, p.data(), count, inner, columns.count);
        product<Number>(d_o.along(query), inner, values.get() + columns.first, sizes.keys, d_s.data(), count, inner, columns.count);
        if (soft_cap_ != 0) under_cap(p.data(), count * columns.count);
        for (int64_t i = 0; i < count; i++) {
          const auto [of_p, seen] = clear_unseen(p.data() + i * columns.count, columns, first[query + i], query + i);
          const auto [of_s, same] = clear_unseen(d_s.data() + i * columns.count, columns, first[query + i], query + i);
          score_gradients(of_p, of_s, logs[query + i], seen);
        }
        add_across<Number>(p.data(), columns, count, d_o.across(query), d_values, sizes, &memory);
        add_across<Number>(d_s.data(), columns, count, q.across(query), d_keys, sizes, &memory);
        const auto along = along_rows<Number>(d_s.data(), count, columns.count, &memory);
        product<Number>(along.data, along.stride, k.across(columns.first), sizes.stride, of_dq.data(), count, words<Number>(columns.count),
                        sizes.stride);
        tile_operations().vector_scalar[kMul](of_dq.data(), scale_, of_dq.data(), count * sizes.stride);
        write_head(of_dq.data(), sizes, place, query, count, d_q);
      }
    }
  }

  // From the scores of a query, under a cap their tangents, and dP: P, and dS but for the scale.
  void score_gradients(float *p, float *d_p, float log, int64_t n) const {
    const TileOperations &operations = tile_operations();
    std::vector<float> slope(soft_cap_ == 0 ? 0 : n);
    if (soft_cap_ != 0) {
      operations.unary[kSquare](p, slope.data(), n);
      operations.scalar_vector[kSub](1.0f, slope.data(), slope.data(), n);
    }
    operations.exponentials(p, factor(), log, p, n);
    operations.softmax_gradient(p, d_p, n);
    if (soft_cap_ != 0) operations.vector_vector[kMul](d_p, slope.data(), d_p, n);
  }

  // out [keys, size] += leftᵀ · right, of left [count, columns] and right [count, size].
  template <class Number>
  static void add_across(const float *left, Columns columns, int64_t count, const Word<Number> *right, float *out, const Sizes &sizes,
                         std::vector<Word<Number>> *memory) {
    const auto in_words = across_rows<Number>(left, columns.count, count, columns.count, memory);
    float *into = out + columns.first * sizes.stride;
    Words<Number>::multiply(
        {in_words.data, 1, in_words.stride, right, sizes.stride, into, into, sizes.stride, columns.count, words<Number>(count), sizes.stride});
  }
};

REGISTER_OP("GraftAttentionGradient")
    .Input("q: T")
    .Input("k: T")
    .Input("v: T")
    .Input("segments: int32")
    .Input("l: float")
    .Input("d_o: T")
    .Output("d_q: T")
    .Output("d_k: T")
    .Output("d_v: T")
    .Attr("T: {float, bfloat16}")
    .Attr("scale: float")
    .Attr("soft_cap: float")
    .Attr("window: int")
    .SetShapeFn(unknown_shapes);

REGISTER_KERNEL_BUILDER(Name("GraftAttentionGradient").Device(tf::DEVICE_CPU), AttentionBackward);

}  // namespace
}  // namespace graft
