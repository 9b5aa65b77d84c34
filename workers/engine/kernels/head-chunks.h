// The tokens, heads and groups of a state space (state-space.cc), read and written a chunk at a time (per-instruction-set/state-chunks.h).
#pragma once

#include <algorithm>
#include <vector>

#include "delta-rule.h"
#include "per-instruction-set/state-chunks.h"

namespace graft {

// Heads of a group whose gradients of B and C are summed by one thread, at least, and into how many such sums at most: each takes memory, and fewer
// would leave threads without work.
constexpr int64_t kFewestTogether = 4, kMostSums = 16;

inline int64_t padded(int64_t size, int64_t to) { return (size + to - 1) / to * to; }

struct ChunkSizes {
  DeltaSizes of;
  int64_t chunks, state_rows, columns;

  explicit ChunkSizes(const DeltaSizes &sizes)
      : of(sizes),
        chunks((sizes.length + kChunkTokens - 1) / kChunkTokens),
        state_rows(padded(sizes.key_size, kStateRows)),
        columns(padded(sizes.value_size, kChunkColumns)) {}

  int64_t heads_together() const { return std::max(kFewestTogether, (of.shared() + kMostSums - 1) / kMostSums); }
  int64_t slices() const { return (of.shared() + heads_together() - 1) / heads_together(); }
  int64_t tokens_of(int64_t chunk) const { return std::min(kChunkTokens, of.length - chunk * kChunkTokens); }
  int64_t state_floats() const { return state_rows * columns; }
  int64_t group_floats() const { return (3 * state_rows + kChunkTokens) * kChunkTokens; }
  int64_t gradient_floats() const { return (2 * state_rows + kChunkTokens) * kChunkTokens; }
  int64_t scratch() const { return chunk_scratch(state_rows, columns); }
};

// A chunk's part of the memory that holds those of all rows and groups, or of all rows and slices of heads.
inline GroupChunk group_chunk(float *memory, const ChunkSizes &sizes, int64_t row_and_group, int64_t chunk) {
  float *at = memory + (row_and_group * sizes.chunks + chunk) * sizes.group_floats();
  const int64_t part = sizes.state_rows * kChunkTokens;
  return {sizes.state_rows, at, at + part, at + 2 * part, at + 3 * part};
}
inline GroupChunkGradient chunk_gradient(float *memory, const ChunkSizes &sizes, int64_t unit, int64_t chunk) {
  float *at = memory + (unit * sizes.chunks + chunk) * sizes.gradient_floats();
  const int64_t part = sizes.state_rows * kChunkTokens;
  return {at, at + part, at + 2 * part};
}

// Rows of `size` floats, `stride` apart, into rows of `width`, with zeros where there are no more, and after the last one.
inline void read_rows(const float *from, int64_t count, int64_t size, int64_t stride, int64_t width, float *to) {
  for (int64_t i = 0; i < kChunkTokens; i++, from += stride, to += width) {
    const int64_t filled = i < count ? size : 0;
    if (filled > 0) std::copy_n(from, filled, to);
    std::fill_n(to + filled, width - filled, 0.0f);
  }
}
inline void write_rows(const float *from, int64_t count, int64_t size, int64_t stride, int64_t width, float *to) {
  for (int64_t i = 0; i < count; i++) std::copy_n(from + i * width, size, to + i * stride);
}

// What is known of a head's chunk, read into a thread's memory.
class HeadReader {
 public:
  HeadReader(const DeltaHead &head, const ChunkSizes &sizes, int64_t row, const int32_t *positions)
      : head_(head), sizes_(sizes), row_(row), positions_(positions), u_(kChunkTokens * sizes.columns) {}

  int64_t token(int64_t chunk) const { return row_ * sizes_.of.length + chunk * kChunkTokens; }

  HeadChunk read(int64_t chunk) {
    const int64_t first = token(chunk), count = sizes_.tokens_of(chunk), columns = sizes_.columns;
    read_values(head_.v, chunk, u_.data());
    for (int64_t i = 0; i < kChunkTokens; i++) {
      const DeltaToken one = i < count ? head_.token(first + i, positions_[first + i] == 0) : DeltaToken{0, nullptr, nullptr, 1.0f, 0.0f};
      decays_[i] = one.decay;
      for (int64_t column = 0; column < columns; column++) u_[i * columns + column] *= one.beta;
    }
    return {columns, decays_, u_.data(), chunk == 0};
  }
  // @param from like v. @param to [kChunkTokens, columns]
  void read_values(const float *from, int64_t chunk, float *to) const {
    const DeltaSizes &of = sizes_.of;
    read_rows(from + head_.value_offset(token(chunk), 0), sizes_.tokens_of(chunk), of.value_size, of.value_heads * of.value_size, sizes_.columns, to);
  }
  void write_values(const float *from, int64_t chunk, float *to) const {
    const DeltaSizes &of = sizes_.of;
    write_rows(from, sizes_.tokens_of(chunk), of.value_size, of.value_heads * of.value_size, sizes_.columns,
               to + head_.value_offset(token(chunk), 0));
  }

 private:
  const DeltaHead &head_;
  const ChunkSizes &sizes_;
  const int64_t row_;
  const int32_t *positions_;
  float decays_[kChunkTokens];
  std::vector<float> u_;
};

}  // namespace graft
