// Floats, their bits and bfloat16.
#pragma once

#include <cstdint>

namespace graft {

inline uint32_t to_bits(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float from_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// Rounds to nearest, ties to even. NaN stays NaN.
inline uint16_t to_bfloat16(float x) {
  const uint32_t bits = to_bits(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(x != x ? 0x7fc0u : rounded);
}

}  // namespace graft
