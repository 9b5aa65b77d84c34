// Numbers and their bits.
#pragma once

#include <cstdint>

namespace graft {

inline uint32_t bits_of(float x) { return __builtin_bit_cast(uint32_t, x); }
inline float of_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// To the nearest, ties to even; what is no number stays none.
inline uint16_t bfloat16_of(float x) {
  const uint32_t bits = bits_of(x);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  return static_cast<uint16_t>(x != x ? 0x7fc0u : rounded);
}

}  // namespace graft
