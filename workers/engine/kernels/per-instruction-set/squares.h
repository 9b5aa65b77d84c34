// Squares of words in registers: as many registers as one has lanes. Included once for each instruction set, in its namespace.
#pragma once

#include "per-instruction-set/word-formats.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Exchanges, in each pair of registers that are `distance` apart, the blocks of `distance` lanes that are on the wrong side of the diagonal.
template <int distance>
inline void exchange(Words (&rows)[kLanes]) {
  Words upper, lower;
  for (int lane = 0; lane < kLanes; lane++) {
    upper[lane] = (lane & distance) == 0 ? lane : kLanes + lane - distance;
    lower[lane] = (lane & distance) == 0 ? lane + distance : kLanes + lane;
  }
  for (int i = 0; i < kLanes; i++) {
    if ((i & distance) != 0) continue;
    const Words a = rows[i], b = rows[i + distance];
    rows[i] = __builtin_shuffle(a, b, upper);
    rows[i + distance] = __builtin_shuffle(a, b, lower);
  }
  if constexpr (distance > 1) exchange<distance / 2>(rows);
}

inline void transpose(Words (&rows)[kLanes]) { exchange<kLanes / 2>(rows); }

// Reads [rows, words] of a matrix whose rows are `stride` words apart, at most a square of it, and transposes it. What is missing is 0.
inline void read_transposed(const uint32_t *from, int64_t stride, int64_t rows, int64_t words, Words (&square)[kLanes]) {
  for (int64_t i = 0; i < kLanes; i++, from += stride) {
    square[i] = Words{};
    if (i >= rows) continue;
    if (words >= kLanes)
      square[i] = load<Words>(from);
    else
      std::memcpy(&square[i], from, words * sizeof(uint32_t));
  }
  transpose(square);
}

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
