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

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
