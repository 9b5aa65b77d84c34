// The heads of queries, keys and values as matrices of floats.
#pragma once

#include <algorithm>
#include <vector>

#include "float-access.h"

namespace graft {

struct Sizes {
  int64_t rows, length, heads, kv_heads, size;
  int64_t stride;  // of a head's row in a buffer
  int64_t keys;    // the length, padded
};

// One head of one row as a matrix [length, size], zeros where it is padded.
inline void read_head(const tensorflow::Tensor &x, const Sizes &sizes, int64_t row, int64_t head, int64_t heads, float *into) {
  for (int64_t i = 0; i < sizes.length; i++) load(x, ((row * sizes.length + i) * heads + head) * sizes.size, into + i * sizes.stride, sizes.size);
}

inline void write_head(const float *from, const Sizes &sizes, int64_t row, int64_t head, int64_t heads, int64_t first, int64_t count,
                       tensorflow::Tensor *out) {
  for (int64_t i = 0; i < count; i++) store(from + i * sizes.stride, out, ((row * sizes.length + first + i) * heads + head) * sizes.size, sizes.size);
}

// [size, keys] of [length, size]
inline void transpose(const float *x, const Sizes &sizes, float *into) {
  constexpr int64_t tile = 16;
  for (int64_t i0 = 0; i0 < sizes.length; i0 += tile)
    for (int64_t d = 0; d < sizes.size; d++)
      for (int64_t i = i0; i < std::min(i0 + tile, sizes.length); i++) into[d * sizes.keys + i] = x[i * sizes.stride + d];
}

// What a query head's attention is computed from.
struct Head {
  std::vector<float> scaled_q, k, v;  // [length, size], padded
  std::vector<float> keys;            // k transposed, [size, length]

  Head(const tensorflow::Tensor &q, const tensorflow::Tensor &k_given, const tensorflow::Tensor &v_given, const Sizes &sizes, int64_t row,
       int64_t head, float scale)
      : scaled_q(sizes.keys * sizes.stride), k(scaled_q.size()), v(scaled_q.size()), keys(sizes.size * sizes.keys) {
    const int64_t kv_head = head / (sizes.heads / sizes.kv_heads);
    read_head(q, sizes, row, head, sizes.heads, scaled_q.data());
    read_head(k_given, sizes, row, kv_head, sizes.kv_heads, k.data());
    read_head(v_given, sizes, row, kv_head, sizes.kv_heads, v.data());
    tile_operations().vector_scalar[kMul](scaled_q.data(), scale, scaled_q.data(), scaled_q.size());
    transpose(k.data(), sizes, keys.data());
  }
};

}  // namespace graft
