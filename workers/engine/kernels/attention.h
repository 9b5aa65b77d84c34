// Causal self-attention with grouped queries, and what its gradient shares with it. Both take a block of queries at a time, so that the scores never
// leave the processor's cache (Dao et al. 2022). Scores between texts that share a row, and scores outside the window, are not computed at all.
//
// Q is [rows, length, heads, size]; K and V are [rows, length, kv_heads, size]. segments [rows, length] has a number for each text of a row, whose
// tokens are neighbours. With S = scale·QKᵀ, capped at c as c·tanh(S / c): P = softmax(S), O = P·V, L = log Σ eˢ; dV = Pᵀ·dO, dP = dO·Vᵀ,
// dS = P·(dP − Σ dP·P), dQ = scale·dS·K, dK = scale·dSᵀ·Q. A sink is a score beside those of a query: it is in the sums of P and L alone.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention-heads.h"
#include "kernel.h"
#include "parallel.h"

namespace graft {

// Queries in a block.
constexpr int64_t kQueries = 64;

class Attention : public Kernel {
 public:
  explicit Attention(tensorflow::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(construction, construction->GetAttr("soft_cap", &soft_cap_));
    OP_REQUIRES_OK(construction, construction->GetAttr("window", &window_));
  }

 protected:
  float scale_;
  float soft_cap_;  // 0: no cap
  int64_t window_;  // how many tokens a token attends to at most, itself included; 0: no limit

  // Fails the kernel, and returns false, if the shapes do not match.
  bool read_sizes(tensorflow::OpKernelContext *context, Sizes *sizes) {
    const tensorflow::TensorShape &q = context->input(0).shape(), &k = context->input(1).shape(), &v = context->input(2).shape();
    const bool match = q.dims() == 4 && k.dims() == 4 && k == v && q.dim_size(0) == k.dim_size(0) && q.dim_size(1) == k.dim_size(1) &&
                       q.dim_size(3) == k.dim_size(3) && k.dim_size(2) > 0 && q.dim_size(2) % k.dim_size(2) == 0 &&
                       context->input(3).NumElements() == q.dim_size(0) * q.dim_size(1);
    if (!match) {
      context->CtxFailure(
          absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of q, k, v and segments do not match: ", q.DebugString(), " ",
                                                  k.DebugString(), " ", v.DebugString(), " ", context->input(3).shape().DebugString())));
      return false;
    }
    *sizes = {q.dim_size(0), q.dim_size(1), q.dim_size(2), k.dim_size(2), q.dim_size(3), padded(q.dim_size(3)), padded(q.dim_size(1))};
    return true;
  }

  // Of the forward pass, whose fifth input, if there is one, is the sinks.
  // Fails the kernel, and returns false, if there is not one for each head.
  bool check_sinks(tensorflow::OpKernelContext *context, const Sizes &sizes) {
    const int inputs = context->num_inputs();
    if (inputs == 4 || (inputs == 5 && context->input(4).NumElements() == sizes.heads)) return true;
    context->CtxFailure(absl::InvalidArgumentError(absl::StrCat(name(), ": there is not one sink for each of ", sizes.heads, " heads")));
    return false;
  }

  // The first token that each token of a row attends to. The last one is the token itself.
  std::vector<int64_t> first_visible(const tensorflow::Tensor &segments, const Sizes &sizes, int64_t row) const {
    const int32_t *segment = segments.flat<int32_t>().data() + row * sizes.length;
    std::vector<int64_t> first(sizes.length);
    int64_t begin = 0;
    for (int64_t i = 0; i < sizes.length; i++) {
      if (i > 0 && segment[i] != segment[i - 1]) begin = i;
      first[i] = window_ > 0 ? std::max(begin, i - window_ + 1) : begin;
    }
    return first;
  }

  // The columns of the scores that a block of queries needs. `first` and `count` are multiples of kColumnBlock.
  struct Columns {
    int64_t first, count;
  };
  static Columns needed_columns(const std::vector<int64_t> &first_visible, int64_t query, int64_t count) {
    const int64_t first = *std::min_element(first_visible.begin() + query, first_visible.begin() + query + count) / kColumnBlock * kColumnBlock;
    return {first, padded(query + count) - first};
  }

  // Zeroes the scores of tokens that a query does not attend to.
  // @return the other scores
  struct Visible {
    float *scores;
    int64_t count;
  };
  static Visible mask_scores(float *row_scores, Columns columns, int64_t first_visible, int64_t query) {
    const int64_t begin = first_visible - columns.first, count = query + 1 - first_visible;
    std::fill(row_scores, row_scores + begin, 0.0f);
    std::fill(row_scores + begin + count, row_scores + columns.count, 0.0f);
    return {row_scores + begin, count};
  }

  // What a thread works on at a time: query heads of one row that share a key head, all of them or some, starting with `first`.
  struct Unit {
    int64_t row, kv_head, first, heads, index;
    Head kv(const Sizes &sizes) const { return {row, kv_head, sizes.kv_heads}; }
  };
  // The query heads that share a key head are split into parts only where there are few key heads to work on in parallel.
  static int64_t parts_per_kv_head(const Sizes &sizes) {
    constexpr int64_t enough = 8;
    return sizes.rows * sizes.kv_heads >= enough ? 1 : sizes.heads / sizes.kv_heads;
  }
  // @param passes over [length, size] that one query head takes
  static void for_each_unit(tensorflow::OpKernelContext *context, const Sizes &sizes, int64_t passes, const std::function<void(const Unit &)> &work) {
    const int64_t parts = parts_per_kv_head(sizes), heads = sizes.heads / sizes.kv_heads / parts;
    auto units = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t row = unit / (sizes.kv_heads * parts), part = unit % (sizes.kv_heads * parts);
        work({row, part / parts, part * heads, heads, unit});
      }
    };
    const int64_t cycles = heads * passes * sizes.length * sizes.stride / 32;
    parallel(context, sizes.rows * sizes.kv_heads * parts, cycles, units);
  }

  // The softmax exponent of q·k is exponent_factor()·q·k, or exponent_factor()·tanh(scale·q·k / cap) under a cap.
  float exponent_factor() const { return soft_cap_ == 0 ? scale_ : soft_cap_; }
  // Replaces q·k with tanh(scale·q·k / cap).
  void apply_cap(float *scores, int64_t n) const {
    tile_operations().vector_scalar[kMul](scores, scale_ / soft_cap_, scores, n);
    tile_operations().unary[kTanh](scores, scores, n);
  }

  // out [rows, columns] = left [rows, inner] · right [inner, columns]
  template <class Element>
  static void multiply(const Word<Element> *left, int64_t left_stride, const Word<Element> *right, int64_t right_stride, float *out, int64_t rows,
                       int64_t inner, int64_t columns) {
    Words<Element>::multiply({left, left_stride, 1, right, right_stride, nullptr, out, columns, rows, inner, columns});
  }
};

}  // namespace graft
