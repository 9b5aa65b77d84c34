// The gated delta rule (Yang et al. 2024): linear attention whose state learns from its own errors.
//
// Q and K are [rows, length, key_heads, key_size], V is [rows, length, value_heads, value_size], G and B are [rows, length, value_heads]; the value
// heads that share a key head are neighbours. Each value head has a state S [key_size, value_size], which is zero before a text:
// S ← e^g·S, error = v − Sᵀk, S ← S + k·(b·error)ᵀ, o = Sᵀq.
//
// Mamba 2's state space (Dao & Gu 2024) is the same rule without the correction, error = v: b is the time step and g its product with A, k is what
// Mamba calls B, q is C and v is x.
#pragma once

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "parallel.h"

namespace graft {

struct DeltaSizes {
  int64_t rows, length, key_heads, value_heads, key_size, value_size;

  int64_t blocks() const { return (value_size + kStateColumns - 1) / kStateColumns; }
  int64_t state_floats() const { return key_size * kStateColumns; }
  int64_t shared() const { return value_heads / key_heads; }
};

// The inputs of one value head.
struct DeltaHead {
  const DeltaSizes &sizes;
  const float *q, *k, *v, *g, *b;
  int64_t key_head, value_head;

  DeltaHead(tensorflow::OpKernelContext *context, const DeltaSizes &sizes, int64_t value_head)
      : sizes(sizes),
        q(context->input(0).flat<float>().data()),
        k(context->input(1).flat<float>().data()),
        v(context->input(2).flat<float>().data()),
        g(context->input(3).flat<float>().data()),
        b(context->input(4).flat<float>().data()),
        key_head(value_head / sizes.shared()),
        value_head(value_head) {}

  // Where a token's part of each tensor begins. @param token row · length + its place
  int64_t key_offset(int64_t token) const { return (token * sizes.key_heads + key_head) * sizes.key_size; }
  int64_t value_offset(int64_t token, int64_t block) const {
    return (token * sizes.value_heads + value_head) * sizes.value_size + block * kStateColumns;
  }
  int64_t head_offset(int64_t token) const { return token * sizes.value_heads + value_head; }

  // @param is_first whether the token begins a text
  DeltaToken token(int64_t token, bool is_first) const {
    const int64_t at = head_offset(token);
    return {sizes.key_size, q + key_offset(token), k + key_offset(token), is_first ? 0.0f : std::exp(g[at]), b[at]};
  }
  // The values that a block has: fewer than kStateColumns in the last one.
  int64_t columns(int64_t block) const { return std::min(kStateColumns, sizes.value_size - block * kStateColumns); }
};

class DeltaKernel : public Kernel {
 public:
  using Kernel::Kernel;

 protected:
  // Fails the kernel, and returns false, if the shapes do not match.
  bool read_sizes(tensorflow::OpKernelContext *context, DeltaSizes *sizes) {
    const tensorflow::TensorShape &k = context->input(1).shape(), &v = context->input(2).shape(), &g = context->input(3).shape();
    const bool match = k.dims() == 4 && context->input(0).shape() == k && v.dims() == 4 && g.dims() == 3 && context->input(4).shape() == g &&
                       v.dim_size(0) == k.dim_size(0) && v.dim_size(1) == k.dim_size(1) && g.dim_size(0) == k.dim_size(0) &&
                       g.dim_size(1) == k.dim_size(1) && g.dim_size(2) == v.dim_size(2) && k.dim_size(2) > 0 && v.dim_size(2) % k.dim_size(2) == 0;
    if (!match) {
      context->CtxFailure(absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of q, k, v, g and b do not match")));
      return false;
    }
    *sizes = {k.dim_size(0), k.dim_size(1), k.dim_size(2), v.dim_size(2), k.dim_size(3), v.dim_size(3)};
    return true;
  }
};

// Copies a block's values, with zeros where the head has no more of them.
inline void read_block(const float *from, int64_t columns, float *to) {
  std::copy_n(from, columns, to);
  std::fill(to + columns, to + kStateColumns, 0.0f);
}

}  // namespace graft
