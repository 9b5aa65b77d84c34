// The gradient of attention.h, from the inputs of the forward pass, what it returned, the result O and the logarithms L, and the gradient of O.
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
    OP_REQUIRES(context,
                context->input(4).NumElements() == sizes.rows * sizes.heads * sizes.length && context->input(5).shape() == q_shape &&
                    context->input(6).shape() == q_shape,
                absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of l, d_o and o do not match that of q")));
    tf::Tensor *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, q_shape, &d_q));
    OP_REQUIRES_OK(context, context->allocate_output(1, k_shape, &d_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, k_shape, &d_v));
    // The dK and dV of each unit. Those of one key head are then added in a fixed order.
    const int64_t head_elements = sizes.padded_length * sizes.stride, parts = split_of(sizes).units_per_kv_head();
    const auto partial = floats(sizes.rows * sizes.kv_heads * parts * 2 * head_elements);
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
    const auto p = floats(kQueries * kScoreStride), d_s = floats(kQueries * kScoreStride), dq_block = floats(kQueries * sizes.stride);
    std::vector<Word<Element>> memory;
    for (int64_t head = unit.first_head; head < unit.first_head + unit.heads; head++) {
      const Head query_head{unit.row, head, sizes.heads};
      HeadMatrix<Element> q(context->input(0), sizes, query_head), d_o(context->input(5), sizes, query_head);
      const float *logs = context->input(4).flat<float>().data() + (unit.row * sizes.heads + head) * sizes.length;
      for (int64_t query = unit.begin; query < unit.end; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        float sums[kQueries];
        for (int64_t i = 0; i < count; i++)
          sums[i] = inner_product(context->input(5), context->input(6), query_head.offset(sizes, query + i), sizes.size);
        bool is_first = true;
        for_each_strip(first, query, count, [&](Strip strip) {
          multiply_with_strip<Element>(q.rows(query), count, keys.get(), inner, strip, p.get());
          multiply_with_strip<Element>(d_o.rows(query), count, values.get(), inner, strip, d_s.get());
          if (soft_cap_ != 0) apply_cap(p.get(), count, strip);
          for (int64_t i = 0; i < count; i++) {
            const auto [p_row, visible] = mask_scores(p.get() + i * kScoreStride, strip, first[query + i], query + i);
            const auto [ds_row, same] = mask_scores(d_s.get() + i * kScoreStride, strip, first[query + i], query + i);
            score_gradients(p_row, ds_row, logs[query + i], sums[i], visible);
          }
          add_transposed_product<Element>(p.get(), strip, count, d_o.interleaved(query), d_values, sizes, &memory);
          add_transposed_product<Element>(d_s.get(), strip, count, q.interleaved(query), d_keys, sizes, &memory);
          add_product_of_scores<Element>(d_s.get(), count, strip, &k, sizes, is_first, dq_block.get(), &memory);
          is_first = false;
        });
        tile_operations().vector_scalar[kMul](dq_block.get(), scale_, dq_block.get(), count * sizes.stride);
        write_head(dq_block.get(), sizes, query_head, query, count, d_q);
      }
    }
  }

  // Σ dO·O of one query, which begins at `offset`.
  static float inner_product(const tf::Tensor &d_o, const tf::Tensor &o, int64_t offset, int64_t size) {
    constexpr int64_t part = 256;
    float a[part], b[part], sum = 0;
    for (int64_t first = 0; first < size; first += part) {
      const int64_t n = std::min(part, size - first);
      load(d_o, offset + first, a, n);
      load(o, offset + first, b, n);
      tile_operations().vector_vector[kMul](a, b, a, n);
      sum += tile_operations().reduction[kSum](a, n);
    }
    return sum;
  }

  // Replaces scores of one query, or under a cap their tanh, with P, and dP with dS without the scale.
  // @param sum Σ dO·O
  void score_gradients(float *p, float *d_p, float log, float sum, int64_t n) const {
    const TileOperations &operations = tile_operations();
    if (soft_cap_ == 0) return operations.softmax_gradient(p, exponent_factor(), log, sum, d_p, n);
    float slope[kStripTokens];
    operations.unary[kSquare](p, slope, n);
    operations.scalar_vector[kSub](1.0f, slope, slope, n);
    operations.softmax_gradient(p, exponent_factor(), log, sum, d_p, n);
    operations.vector_vector[kMul](d_p, slope, d_p, n);
  }

  // out [length, size] += leftᵀ · right, with left [count] rows of scores and right [count, size]. The strip's keys are tokens of out.
  template <class Element>
  static void add_transposed_product(const float *left, Strip strip, int64_t count, const Word<Element> *right, float *out, const Sizes &sizes,
                                     std::vector<Word<Element>> *memory) {
    const auto packed = interleave_rows<Element>(left, kScoreStride, count, strip.count, memory);
    float *into = out + strip.first * sizes.stride;
    Words<Element>::multiply(
        {packed.data, 1, packed.stride, right, sizes.stride, into, into, sizes.stride, strip.count, word_count<Element>(count), sizes.stride});
  }
};

REGISTER_OP("GraftAttentionGradient")
    .Input("q: T")
    .Input("k: T")
    .Input("v: T")
    .Input("segments: int32")
    .Input("l: float")
    .Input("d_o: T")
    .Input("o: T")
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
