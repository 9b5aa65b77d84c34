// Causal self-attention with grouped queries and its gradient, a block of queries at a time, so that the scores never leave the processor's cache
// (Dao et al. 2022). Texts that share a row, and what lies outside of a window, are not computed at all.
//
// Q [rows, length, heads, size], K and V [rows, length, kv heads, size]; segments [rows, length], by which a token's own text is known: each is one
// run of neighbours. With S = scale·QKᵀ, capped at c as c·tanh(S / c): P = softmax(S), O = P·V, L = log Σ eˢ; dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P·(dP − Σ
// dP·P), dQ = scale·dS·K, dK = scale·dSᵀ·Q.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "attention-heads.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tile-operations.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Queries that are worked on at a time.
constexpr int64_t kQueries = 64;

class Attention : public tf::OpKernel {
 public:
  explicit Attention(tf::OpKernelConstruction *construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(construction, construction->GetAttr("soft_cap", &soft_cap_));
    OP_REQUIRES_OK(construction, construction->GetAttr("window", &window_));
  }

 protected:
  float scale_, soft_cap_;  // a cap of 0 is none
  int64_t window_;          // how far back a token looks, itself included; 0 is without end

  bool sizes_of(tf::OpKernelContext *context, Sizes *sizes) {
    const tf::TensorShape &q = context->input(0).shape(), &k = context->input(1).shape(), &v = context->input(2).shape();
    const bool fits = q.dims() == 4 && k.dims() == 4 && k == v && q.dim_size(0) == k.dim_size(0) && q.dim_size(1) == k.dim_size(1) &&
                      q.dim_size(3) == k.dim_size(3) && k.dim_size(2) > 0 && q.dim_size(2) % k.dim_size(2) == 0 &&
                      context->input(3).NumElements() == q.dim_size(0) * q.dim_size(1);
    if (!fits) {
      context->CtxFailure(
          tf::errors::InvalidArgument(name(), " of tensors that do not fit: ", q.DebugString(), " ", k.DebugString(), " ", v.DebugString()));
      return false;
    }
    *sizes = {q.dim_size(0), q.dim_size(1), q.dim_size(2), k.dim_size(2), q.dim_size(3), padded(q.dim_size(3)), padded(q.dim_size(1))};
    return true;
  }

  // Each token of a row looks at those from here to itself.
  std::vector<int64_t> first_seen(const tf::Tensor &segments, const Sizes &sizes, int64_t row) const {
    const int32_t *of_row = segments.flat<int32_t>().data() + row * sizes.length;
    std::vector<int64_t> first(sizes.length);
    int64_t begin = 0;
    for (int64_t i = 0; i < sizes.length; i++) {
      if (i > 0 && of_row[i] != of_row[i - 1]) begin = i;
      first[i] = window_ > 0 ? std::max(begin, i - window_ + 1) : begin;
    }
    return first;
  }

  // The columns of scores that a block of queries needs, from a multiple of kColumnBlock to one.
  struct Columns {
    int64_t first, count;
  };
  static Columns columns_of(const std::vector<int64_t> &first_seen, int64_t query, int64_t count) {
    const int64_t first = *std::min_element(first_seen.begin() + query, first_seen.begin() + query + count) / kColumnBlock * kColumnBlock;
    return {first, padded(query + count) - first};
  }

  // Clears the scores of what a query does not see. @return those of what it does: from where, and how many
  struct Seen {
    float *scores;
    int64_t count;
  };
  static Seen clear_unseen(float *of_row, Columns columns, int64_t first_seen, int64_t query) {
    const int64_t begin = first_seen - columns.first, count = query + 1 - first_seen;
    std::fill(of_row, of_row + begin, 0.0f);
    std::fill(of_row + begin + count, of_row + columns.count, 0.0f);
    return {of_row + begin, count};
  }

  // Each of some heads of each row. @param passes over a head's [length, size] that one takes
  void parallel(tf::OpKernelContext *context, const Sizes &sizes, int64_t heads, int64_t passes,
                const std::function<void(int64_t row, int64_t head)> &work) const {
    const int64_t cycles = passes * sizes.length * sizes.stride / 32;
    auto units = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; unit++) work(unit / heads, unit % heads);
    };
    context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(sizes.rows * heads, std::max<int64_t>(cycles, 1), units);
  }

  // scale·QKᵀ of some queries and columns; under a cap also the hyperbolic tangent.
  void scores(const Head &head, const Sizes &sizes, int64_t query, int64_t count, Columns columns, float *s, float *tangent) const {
    std::fill(s, s + count * columns.count, 0.0f);
    tile_operations().add_product(head.scaled_q.data() + query * sizes.stride, sizes.stride, head.keys.data() + columns.first, sizes.keys, s,
                                  columns.count, count, sizes.size, columns.count);
    if (soft_cap_ == 0) return;
    const int64_t n = count * columns.count;
    tile_operations().vector_scalar[kDiv](s, soft_cap_, s, n);
    tile_operations().unary[kTanh](s, s, n);
    if (tangent != nullptr) std::memcpy(tangent, s, n * sizeof(float));
    tile_operations().vector_scalar[kMul](s, soft_cap_, s, n);
  }
};

class AttentionForward : public Attention {
 public:
  using Attention::Attention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!sizes_of(context, &sizes)) return;
    const tf::Tensor &q = context->input(0), &k = context->input(1), &v = context->input(2), &segments = context->input(3);
    tf::Tensor *o = nullptr, *l = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, q.shape(), &o));
    OP_REQUIRES_OK(context, context->allocate_output(1, {sizes.rows, sizes.heads, sizes.length}, &l));
    const TileOperations &operations = tile_operations();
    parallel(context, sizes, sizes.heads, 2 * sizes.length, [&](int64_t row, int64_t head) {
      const std::vector<int64_t> first = first_seen(segments, sizes, row);
      const Head given(q, k, v, sizes, row, head, scale_);
      std::vector<float> s(kQueries * sizes.keys), of_o(kQueries * sizes.stride);
      float *logs = l->flat<float>().data() + (row * sizes.heads + head) * sizes.length;
      for (int64_t query = 0; query < sizes.length; query += kQueries) {
        const int64_t count = std::min(kQueries, sizes.length - query);
        const Columns columns = columns_of(first, query, count);
        scores(given, sizes, query, count, columns, s.data(), nullptr);
        std::fill(of_o.begin(), of_o.end(), 0.0f);
        for (int64_t i = 0; i < count; i++) {
          const auto [of_row, seen] = clear_unseen(s.data() + i * columns.count, columns, first[query + i], query + i);
          const float largest = operations.reduction[kMax](of_row, seen);
          operations.vector_scalar[kSub](of_row, largest, of_row, seen);
          operations.unary[kExp](of_row, of_row, seen);
          const float sum = operations.reduction[kSum](of_row, seen);
          operations.vector_scalar[kMul](of_row, 1.0f / sum, of_row, seen);
          logs[query + i] = largest + std::log(sum);
        }
        operations.add_product(s.data(), columns.count, given.v.data() + columns.first * sizes.stride, sizes.stride, of_o.data(), sizes.stride, count,
                               columns.count, sizes.stride);
        write_head(of_o.data(), sizes, row, head, sizes.heads, query, count, o);
      }
    });
  }
};

class AttentionBackward : public Attention {
 public:
  using Attention::Attention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!sizes_of(context, &sizes)) return;
    const tf::Tensor &q = context->input(0), &k = context->input(1), &v = context->input(2), &segments = context->input(3);
    const tf::Tensor &l = context->input(4), &d_o = context->input(5);
    OP_REQUIRES(context, l.NumElements() == sizes.rows * sizes.heads * sizes.length && d_o.shape() == q.shape(),
                tf::errors::InvalidArgument(name(), " of tensors that do not fit"));
    tf::Tensor *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, q.shape(), &d_q));
    OP_REQUIRES_OK(context, context->allocate_output(1, k.shape(), &d_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, v.shape(), &d_v));
    const int64_t groups = sizes.heads / sizes.kv_heads, of_head = sizes.keys * sizes.stride;
    // What each query head adds to its key head's, summed at the end in one order. Each head clears its own.
    const int64_t all = sizes.rows * sizes.heads * of_head;
    const std::unique_ptr<float[]> d_keys(new float[all]), d_values(new float[all]);
    parallel(context, sizes, sizes.heads, 5 * sizes.length, [&](int64_t row, int64_t head) {
      float *of_keys = d_keys.get() + (row * sizes.heads + head) * of_head, *of_values = d_values.get() + (row * sizes.heads + head) * of_head;
      std::fill(of_keys, of_keys + of_head, 0.0f);
      std::fill(of_values, of_values + of_head, 0.0f);
      head_gradients({q, k, v, segments, l, d_o}, sizes, row, head, d_q, of_keys, of_values);
    });
    parallel(context, sizes, sizes.kv_heads, groups, [&](int64_t row, int64_t kv_head) {
      for (const auto &[partial, out] : {std::pair(d_keys.get(), d_k), std::pair(d_values.get(), d_v)}) {
        float *sum = partial + (row * sizes.heads + kv_head * groups) * of_head;
        for (int64_t group = 1; group < groups; group++) tile_operations().vector_vector[kAdd](sum, sum + group * of_head, sum, of_head);
        write_head(sum, sizes, row, kv_head, sizes.kv_heads, 0, sizes.length, out);
      }
    });
  }

 private:
  struct Given {
    const tf::Tensor &q, &k, &v, &segments, &l, &d_o;
  };

  void head_gradients(const Given &given, const Sizes &sizes, int64_t row, int64_t head, tf::Tensor *d_q, float *d_keys, float *d_values) const {
    const TileOperations &operations = tile_operations();
    const std::vector<int64_t> first = first_seen(given.segments, sizes, row);
    const Head head_of(given.q, given.k, given.v, sizes, row, head, scale_);
    const size_t of_block = kQueries * sizes.keys;
    std::vector<float> of_o(sizes.keys * sizes.stride), values(sizes.size * sizes.keys), p(of_block), d_p(of_block),
        tangent(soft_cap_ == 0 ? 0 : of_block), of_dq(kQueries * sizes.stride);
    read_head(given.d_o, sizes, row, head, sizes.heads, of_o.data());
    transpose(head_of.v.data(), sizes, values.data());
    const float *logs = given.l.flat<float>().data() + (row * sizes.heads + head) * sizes.length;
    for (int64_t query = 0; query < sizes.length; query += kQueries) {
      const int64_t count = std::min(kQueries, sizes.length - query);
      const Columns columns = columns_of(first, query, count);
      const float *block_q = head_of.scaled_q.data() + query * sizes.stride, *block_do = of_o.data() + query * sizes.stride;
      scores(head_of, sizes, query, count, columns, p.data(), soft_cap_ == 0 ? nullptr : tangent.data());
      std::fill(d_p.begin(), d_p.begin() + count * columns.count, 0.0f);
      operations.add_product(block_do, sizes.stride, values.data() + columns.first, sizes.keys, d_p.data(), columns.count, count, sizes.size,
                             columns.count);
      for (int64_t i = 0; i < count; i++) {
        const auto [of_row, seen] = clear_unseen(p.data() + i * columns.count, columns, first[query + i], query + i);
        operations.vector_scalar[kSub](of_row, logs[query + i], of_row, seen);
        operations.unary[kExp](of_row, of_row, seen);
      }
      operations.add_transposed_product(p.data(), columns.count, block_do, sizes.stride, d_values + columns.first * sizes.stride, sizes.stride, count,
                                        columns.count, sizes.stride);
      for (int64_t i = 0; i < count; i++) {
        float *p_row = p.data() + i * columns.count, *d_row = d_p.data() + i * columns.count;
        operations.vector_vector[kMul](d_row, p_row, d_row, columns.count);  // P·dP; P is 0 where nothing is seen
        const float along = operations.reduction[kSum](d_row, columns.count);
        operations.vector_scalar[kMul](p_row, along, p_row, columns.count);
        operations.vector_vector[kSub](d_row, p_row, d_row, columns.count);
        if (soft_cap_ != 0) {
          float *of_tangent = tangent.data() + i * columns.count;
          operations.unary[kSquare](of_tangent, of_tangent, columns.count);
          operations.scalar_vector[kSub](1.0f, of_tangent, of_tangent, columns.count);
          operations.vector_vector[kMul](d_row, of_tangent, d_row, columns.count);
        }
      }
      operations.add_transposed_product(d_p.data(), columns.count, block_q, sizes.stride, d_keys + columns.first * sizes.stride, sizes.stride, count,
                                        columns.count, sizes.stride);
      std::fill(of_dq.begin(), of_dq.end(), 0.0f);
      operations.add_product(d_p.data(), columns.count, head_of.k.data() + columns.first * sizes.stride, sizes.stride, of_dq.data(), sizes.stride,
                             count, columns.count, sizes.stride);
      operations.vector_scalar[kMul](of_dq.data(), scale_, of_dq.data(), of_dq.size());
      write_head(of_dq.data(), sizes, row, head, sizes.heads, query, count, d_q);
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

REGISTER_KERNEL_BUILDER(Name("GraftAttention").Device(tf::DEVICE_CPU), AttentionForward);
REGISTER_KERNEL_BUILDER(Name("GraftAttentionGradient").Device(tf::DEVICE_CPU), AttentionBackward);

}  // namespace
}  // namespace graft
