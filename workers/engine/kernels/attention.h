// Causal self-attention with grouped queries, and what its gradient shares with it. Both take a block of queries and a strip of keys at a time, so
// that the scores never leave the processor's cache (Dao et al. 2022). Scores between texts that share a row, and scores outside the window, are not
// computed at all.
//
// Q is [rows, length, heads, size]; K and V are [rows, length, kv_heads, size]. segments [rows, length] has a number for each text of a row, whose
// tokens are neighbours. With S = scale·QKᵀ, capped at c as c·tanh(S / c): P = softmax(S), O = P·V, L = log Σ eˢ; dV = Pᵀ·dO, dP = dO·Vᵀ,
// dS = P·(dP − Σ dP·P), dQ = scale·dS·K, dK = scale·dSᵀ·Q, where Σ dP·P = Σ dO·O. A sink is a score beside those of a query: it is in the sums of P
// and L alone.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention-heads.h"
#include "kernel.h"
#include "parallel.h"

namespace graft {

// Queries in a block.
constexpr int64_t kQueries = 64;
// Keys in a strip, whole tiles. The scores of a block with a strip fit the second-level cache, together with what they are computed from.
constexpr int64_t kStripTokens = 4 * kTileTokens;
// Of rows of scores: no power of two, so that a column of them is spread over the sets of a cache.
constexpr int64_t kScoreStride = kStripTokens + kColumnBlock;

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
    *sizes = {q.dim_size(0), q.dim_size(1), q.dim_size(2), k.dim_size(2), q.dim_size(3), padded(q.dim_size(3)), whole_tiles(q.dim_size(1))};
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

  // A strip of keys. `first` is a multiple of kTileTokens and `count` of kColumnBlock.
  struct Strip {
    int64_t first, count;
  };
  // Calls `work` with each strip that a block of queries needs, from the first to that of the queries themselves.
  template <class Work>
  static void for_each_strip(const std::vector<int64_t> &first_visible, int64_t query, int64_t count, const Work &work) {
    const int64_t first = *std::min_element(first_visible.begin() + query, first_visible.begin() + query + count), end = padded(query + count);
    for (int64_t key = first / kTileTokens * kTileTokens; key < end; key += kStripTokens) work(Strip{key, std::min(kStripTokens, end - key)});
  }

  // The scores of a strip's tokens that a query attends to; the others are set to zero.
  struct Visible {
    float *scores;
    int64_t count;
  };
  static Visible mask_scores(float *row_scores, Strip strip, int64_t first_visible, int64_t query) {
    const int64_t begin = std::clamp<int64_t>(first_visible - strip.first, 0, strip.count);
    const int64_t end = std::clamp<int64_t>(query + 1 - strip.first, begin, strip.count);
    std::fill(row_scores, row_scores + begin, 0.0f);
    std::fill(row_scores + end, row_scores + strip.count, 0.0f);
    return {row_scores + begin, end - begin};
  }

  // What a thread works on at a time: of query heads of one row that share a key head, all of them or some, starting with `first_head`, the queries
  // from `begin` to before `end`.
  struct Unit {
    int64_t row, kv_head, first_head, heads, begin, end, index;
    Head kv(const Sizes &sizes) const { return {row, kv_head, sizes.kv_heads}; }
  };
  // Where there are few key heads to work on in parallel, the query heads that share one are split into parts, and then the queries.
  struct Split {
    int64_t parts, ranges;
    int64_t units_per_kv_head() const { return parts * ranges; }
  };
  // It does not depend on the number of threads, and so neither do the sums.
  static Split split_of(const Sizes &sizes) {
    constexpr int64_t enough = 8, queries = 8 * kQueries;
    const int64_t kv_heads = sizes.rows * sizes.kv_heads;
    if (kv_heads >= enough) return {1, 1};
    const int64_t parts = sizes.heads / sizes.kv_heads, units = kv_heads * parts;
    return {parts, std::clamp<int64_t>((enough + units - 1) / units, 1, std::max<int64_t>(sizes.length / queries, 1))};
  }
  // The last ranges come first: their queries have the most keys.
  // @param passes over [length, size] that one query takes
  static void for_each_unit(tensorflow::OpKernelContext *context, const Sizes &sizes, int64_t passes, const std::function<void(const Unit &)> &work) {
    const Split split = split_of(sizes);
    const int64_t heads = sizes.heads / sizes.kv_heads / split.parts, blocks = (sizes.length + kQueries - 1) / kQueries;
    const auto range_start = [&](int64_t range) { return std::min(blocks * range / split.ranges * kQueries, sizes.length); };
    auto units = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t range = split.ranges - 1 - unit % split.ranges, part = unit / split.ranges % split.parts;
        const int64_t kv_head = unit / split.units_per_kv_head();
        work({kv_head / sizes.kv_heads, kv_head % sizes.kv_heads, kv_head % sizes.kv_heads * (sizes.heads / sizes.kv_heads) + part * heads, heads,
              range_start(range), range_start(range + 1), unit});
      }
    };
    const int64_t cycles = heads * passes * sizes.length * sizes.stride / split.ranges / 32;
    parallel(context, sizes.rows * sizes.kv_heads * split.units_per_kv_head(), cycles, units);
  }

  // The softmax exponent of q·k is exponent_factor()·q·k, or exponent_factor()·tanh(scale·q·k / cap) under a cap.
  float exponent_factor() const { return soft_cap_ == 0 ? scale_ : soft_cap_; }
  // Replaces q·k with tanh(scale·q·k / cap), in the rows of some queries.
  void apply_cap(float *scores, int64_t queries, Strip strip) const {
    for (int64_t i = 0; i < queries; i++, scores += kScoreStride) {
      tile_operations().vector_scalar[kMul](scores, scale_ / soft_cap_, scores, strip.count);
      tile_operations().unary[kTanh](scores, scores, strip.count);
    }
  }

  // Not set to zero: that would take longer than short texts do.
  static std::unique_ptr<float[]> floats(int64_t count) { return std::unique_ptr<float[]>(new float[count]); }

  // Products of queries with a strip of keys, or of what is like either, into rows that are kScoreStride apart.
  // @param left [count, inner]; @param right `transposed()`
  template <class Element>
  static void multiply_with_strip(const Word<Element> *left, int64_t count, const Word<Element> *right, int64_t inner, Strip strip, float *out) {
    for (int64_t tile = 0; tile < strip.count; tile += kTileTokens)
      Words<Element>::multiply({left, inner, 1, right + (strip.first + tile) * inner, kTileTokens, nullptr, out + tile, kScoreStride, count, inner,
                                std::min(kTileTokens, strip.count - tile)});
  }

  // out [count, stride] += scores · right, or = if `first`
  // @param scores [count] rows that are kScoreStride apart; @param right the strip's tokens, interleaved
  template <class Element>
  static void add_product_of_scores(const float *scores, int64_t count, Strip strip, HeadMatrix<Element> *right, const Sizes &sizes, bool first,
                                    float *out, std::vector<Word<Element>> *memory) {
    const auto packed = pack_rows<Element>(scores, count, kScoreStride, memory);
    for (int64_t tile = 0; tile < strip.count; tile += kTileTokens)
      Words<Element>::multiply({packed.data + word_count<Element>(tile), packed.stride, 1, right->interleaved(strip.first + tile), sizes.stride,
                                first && tile == 0 ? nullptr : out, out, sizes.stride, count,
                                word_count<Element>(std::min(kTileTokens, strip.count - tile)), sizes.stride});
  }

 private:
  static int64_t whole_tiles(int64_t tokens) { return (tokens + kTileTokens - 1) / kTileTokens * kTileTokens; }
};

}  // namespace graft
