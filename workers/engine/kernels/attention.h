// Causal self-attention with grouped queries and its gradient, a block of queries at a time, so that the scores never leave the processor's cache
// (Dao et al. 2022). Texts that share a row, and what lies outside of a window, are not computed at all.
//
// Q [rows, length, heads, size], K and V [rows, length, kv heads, size]; segments [rows, length], by which a token's own text is known: each is one
// run of neighbours. With S = scale·QKᵀ, capped at c as c·tanh(S / c): P = softmax(S), O = P·V, L = log Σ eˢ; dV = Pᵀ·dO, dP = dO·Vᵀ, dS = P·(dP − Σ
// dP·P), dQ = scale·dS·K, dK = scale·dSᵀ·Q.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention-heads.h"
#include "kernel.h"
#include "parallel.h"

namespace graft {

// Queries that are worked on at a time.
constexpr int64_t kQueries = 64;

class Attention : public Kernel {
 public:
  explicit Attention(tensorflow::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(construction, construction->GetAttr("soft_cap", &soft_cap_));
    OP_REQUIRES_OK(construction, construction->GetAttr("window", &window_));
  }

 protected:
  float scale_, soft_cap_;  // a cap of 0 is none
  int64_t window_;          // how far back a token looks, itself included; 0 is without end

  bool sizes_of(tensorflow::OpKernelContext *context, Sizes *sizes) {
    const tensorflow::TensorShape &q = context->input(0).shape(), &k = context->input(1).shape(), &v = context->input(2).shape();
    const bool fits = q.dims() == 4 && k.dims() == 4 && k == v && q.dim_size(0) == k.dim_size(0) && q.dim_size(1) == k.dim_size(1) &&
                      q.dim_size(3) == k.dim_size(3) && k.dim_size(2) > 0 && q.dim_size(2) % k.dim_size(2) == 0 &&
                      context->input(3).NumElements() == q.dim_size(0) * q.dim_size(1);
    if (!fits) {
      context->CtxFailure(absl::InvalidArgumentError(
          absl::StrCat(name(), " of tensors that do not fit: ", q.DebugString(), " ", k.DebugString(), " ", v.DebugString())));
      return false;
    }
    *sizes = {q.dim_size(0), q.dim_size(1), q.dim_size(2), k.dim_size(2), q.dim_size(3), padded(q.dim_size(3)), padded(q.dim_size(1))};
    return true;
  }

  // Each token of a row looks at those from here to itself.
  std::vector<int64_t> first_seen(const tensorflow::Tensor &segments, const Sizes &sizes, int64_t row) const {
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

  // What a thread works on at a time: of one row, the query heads from `first` on that share a key head, or a part of them.
  struct Unit {
    int64_t row, kv_head, first, heads, index;
    Place keys(const Sizes &sizes) const { return {row, kv_head, sizes.kv_heads}; }
  };
  // Parts of the heads that share one: none but all of them as long as there is work enough side by side.
  static int64_t parts_of(const Sizes &sizes) {
    constexpr int64_t enough = 8;
    return sizes.rows * sizes.kv_heads >= enough ? 1 : sizes.heads / sizes.kv_heads;
  }
  // @param passes over a head's [length, size] that a query head takes
  static void for_units(tensorflow::OpKernelContext *context, const Sizes &sizes, int64_t passes, const std::function<void(const Unit &)> &work) {
    const int64_t parts = parts_of(sizes), heads = sizes.heads / sizes.kv_heads / parts;
    auto units = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t row = unit / (sizes.kv_heads * parts), of_row = unit % (sizes.kv_heads * parts);
        work({row, of_row / parts, of_row * heads, heads, unit});
      }
    };
    const int64_t cycles = heads * passes * sizes.length * sizes.stride / 32;
    parallel(context, sizes.rows * sizes.kv_heads * parts, cycles, units);
  }

  // What is to be said of a score x: its exponent is factor·f(x), with f the hyperbolic tangent under a cap.
  float factor() const { return soft_cap_ == 0 ? scale_ : soft_cap_; }
  void under_cap(float *scores, int64_t n) const {
    tile_operations().vector_scalar[kMul](scores, scale_ / soft_cap_, scores, n);
    tile_operations().unary[kTanh](scores, scores, n);
  }

  template <class Number>
  static void product(const Word<Number> *left, int64_t left_row, const Word<Number> *right, int64_t right_row, float *out, int64_t rows,
                      int64_t inner, int64_t columns) {
    Words<Number>::multiply({left, left_row, 1, right, right_row, nullptr, out, columns, rows, inner, columns});
  }
};

}  // namespace graft
