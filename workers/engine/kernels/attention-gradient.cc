// The gradient of attention.h, from the inputs of the forward pass, the logarithms L that it returned, and the gradient of its result O.
#include <memory>

#include "absl/strings/str_cat.h"
#include "attention.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

class AttentionGradient : public Attention {
 public:
  using Attention::Attention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!read_sizes(context, &sizes)) return;
    const tf::TensorShape &q_shape = context->input(0).shape(), &k_shape = context->input(1).shape();
    OP_REQUIRES(context, context->input(4).NumElements() == sizes.rows * sizes.heads * sizes.length && context->input(5).shape() == q_shape,
                absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of l and d_o do not match that of q")));
    tf::Tensor *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, q_shape, &d_q));
    OP_REQUIRES_OK(context, context->allocate_output(1, k_shape, &d_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, k_shape, &d_v));
    // The dK and dV of each unit. The parts of one key head are then added in a fixed order.
    const int64_t head_elements = sizes.padded_length * sizes.stride, parts = parts_per_kv_head(sizes);
    const std::unique_ptr<float[]> partial(new float[sizes.rows * sizes.kv_heads * parts * 2 * head_elements]);
    const auto write_kv_head = [&](int64_t row, int64_t kv_head) {
      const TileOperations &operations = tile_operations();
      float *d_keys = partial.get() + (row * sizes.kv_heads + kv_head) * parts * 2 * head_elements, *d_values = d_keys + head_elements;
      for (int64_t part = 1; part < parts; part++)
        operations.vector_vector[kAdd](d_keys, d_keys + part * 2 * head_elements, d_keys, 2 * head_elements);
      operations.vector_scalar[kMul](d_keys, scale_, d_keys, head_elements);
      write_head(d_keys, sizes, {row, kv_head, sizes.kv_heads}, 0, sizes.length, d_k);
      write_head(d_values, sizes, {row, kv_head, sizes.kv_heads}, 0, sizes.length, d_v);
    };
    for_each_unit(context, sizes, 5 * sizes.length, [&](const Unit &unit) {
      float *d_keys = partial.get() + unit.index * 2 * head_elements;
      std::fill(d_keys, d_keys + 2 * head_elements, 0.0f);
      with_element_type(*d_q, [&](auto element) { gradients<decltype(element)>(context, sizes, unit, d_q, d_keys, d_keys + head_elements); });
      if (parts == 1) write_kv_head(unit.row, unit.kv_head);
    });
    for (int64_t i = 0; parts > 1 && i < sizes.rows * sizes.kv_heads; i++) write_kv_head(i / sizes.kv_heads, i % sizes.kv_heads);
  }

 private:
  // Writes dQ of the unit's query heads, and adds to dK, without the scale, and dV of their key head.
  template <class Element>
  void gradients(tf::OpKernelContext *context, const Sizes &sizes, const Unit &unit, tf::Tensor *d_q, float *d_keys, float *d_values) const {
    const std::vector<int64_t> first = first_visible(context->input(3), sizes, unit.row);
    HeadMatrix<Element> k(context->input(1), sizes, unit.kv(sizes));
    const HeadMatrix<Element> v(context->input(2), sizes, unit.kv(sizes));
    const auto keys = k.transposed(), values = v.transposed();
    const int64_t inner = k.words_per_token();
    const size_t block_elements = kQueries * sizes.padded_length;
    std::vector<float> p(block_elements), d_s(block_elements), dq_block(kQueries * sizes.stride);
    std::vector<Word<Element>> memory;
    for (int64_t head = unit.first; head < unit.first + unit.heads; head++) {
      const Head query_head{unit.row, head, sizes.heads};
      HeadMatrix<Element> q(context->input(0), sizes, query_head), d_o(context->input(5), sizes, query_head);
      const float *logs = context->input(4).flat<float>().data() + (unit.row * sizes.heads + head) * sizes.length;
      for (int64_t query = 0; query < sizes.length; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        const Columns columns = needed_columns(first, query, count);
        multiply<Element>(q.rows(query), inner, keys.get() + columns.first, sizes.padded_length, p.data(), count, inner, columns.count);
        multiply<Element>(d_o.rows(query), inner, values.get() + columns.first, sizes.padded_length, d_s.data(), count, inner, columns.count);
        if (soft_cap_ != 0) apply_cap(p.data(), count * columns.count);
        for (int64_t i = 0; i < count; i++) {
          const auto [p_row, visible] = mask_scores(p.data() + i * columns.count, columns, first[query + i], query + i);
          const auto [ds_row, same] = mask_scores(d_s.data() + i * columns.count, columns, first[query + i], query + i);
          score_gradients(p_row, ds_row, logs[query + i], visible);
        }
        add_transposed_product<Element>(p.data(), columns, count, d_o.interleaved(query), d_values, sizes, &memory);
        add_transposed_product<Element>(d_s.data(), columns, count, q.interleaved(query), d_keys, sizes, &memory);
        const auto packed = pack_rows<Element>(d_s.data(), count, columns.count, &memory);
        multiply<Element>(packed.data, packed.stride, k.interleaved(columns.first), sizes.stride, dq_block.data(), count,
                          word_count<Element>(columns.count), sizes.stride);
        tile_operations().vector_scalar[kMul](dq_block.data(), scale_, dq_block.data(), count * sizes.stride);
        write_head(dq_block.data(), sizes, query_head, query, count, d_q);
      }
    }
  }

  // Replaces the scores of one query, or under a cap their tanh, with P, and dP with dS without the scale.
  void score_gradients(float *p, float *d_p, float log, int64_t n) const {
    const TileOperations &operations = tile_operations();
    std::vector<float> slope(soft_cap_ == 0 ? 0 : n);
    if (soft_cap_ != 0) {
      operations.unary[kSquare](p, slope.data(), n);
      operations.scalar_vector[kSub](1.0f, slope.data(), slope.data(), n);
    }
    operations.exponentials(p, exponent_factor(), log, p, n);
    operations.softmax_gradient(p, d_p, n);
    if (soft_cap_ != 0) operations.vector_vector[kMul](d_p, slope.data(), d_p, n);
  }

  // out [length, size] += leftᵀ · right, with left [count, columns] and right [count, size]. The columns are tokens of out.
  template <class Element>
  static void add_transposed_product(const float *left, Columns columns, int64_t count, const Word<Element> *right, float *out, const Sizes &sizes,
                                     std::vector<Word<Element>> *memory) {
    const auto packed = interleave_rows<Element>(left, columns.count, count, columns.count, memory);
    float *into = out + columns.first * sizes.stride;
    Words<Element>::multiply(
        {packed.data, 1, packed.stride, right, sizes.stride, into, into, sizes.stride, columns.count, word_count<Element>(count), sizes.stride});
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
REGISTER_KERNEL_BUILDER(Name("GraftAttentionGradient").Device(tf::DEVICE_CPU), AttentionGradient);

}  // namespace
}  // namespace graft
