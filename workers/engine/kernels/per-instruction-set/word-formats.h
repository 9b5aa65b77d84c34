// Registers, what a 32-bit word of an operand is (word-products.h), and how words are multiplied. Included once for each instruction set, in its
// namespace.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Floats in one register. Memory need not be aligned to it.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t))));
typedef uint16_t Halves __attribute__((vector_size(kLanes * sizeof(uint16_t))));

template <class Vector>
inline Vector load(const void *memory) {
  Vector vector;
  std::memcpy(&vector, memory, sizeof vector);
  return vector;
}

inline void write(Floats floats, float *out) { std::memcpy(out, &floats, sizeof floats); }

inline Floats as_floats(Words words) { return reinterpret_cast<Floats>(words); }

inline Floats read(const float *x) { return load<Floats>(x); }
inline Floats read(const uint16_t *x) { return as_floats(__builtin_convertvector(load<Halves>(x), Words) << 16); }

inline void write(Floats floats, uint16_t *out) {
#if defined(__AVX512BF16__)
  const __m256bh halves = _mm512_cvtneps_pbh((__m512)floats);
#else
  const Words bits = reinterpret_cast<Words>(floats);
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Words is_nan = static_cast<Words>(floats != floats);
  const Halves halves = __builtin_convertvector((rounded & ~is_nan) | (is_nan & 0x7fc0u), Halves);
#endif
  std::memcpy(out, &halves, sizeof halves);
}

// The lower halves of two registers, or their upper halves, lane by lane in turn.
template <bool upper>
inline Words interleaved(Words a, Words b) {
  Words lanes;
  for (int i = 0; i < kLanes; i++) lanes[i] = (upper ? kLanes / 2 : 0) + i / 2 + (i % 2) * kLanes;
  return __builtin_shuffle(a, b, lanes);
}

// A word in all lanes.
#if defined(__AVX512F__)
// The barrier keeps it in a register. Otherwise every multiplication reads it from memory again.
inline Floats broadcast(const float *word) {
  __m512 lanes = _mm512_set1_ps(*word);
  asm("" : "+v"(lanes));
  return (Floats)lanes;
}
inline Words broadcast(const uint32_t *word) {
  __m512i lanes = _mm512_set1_epi32(*word);
  asm("" : "+v"(lanes));
  return (Words)lanes;
}
#else
// Without 0, which changes nothing, compilers see one instruction; setting lane after lane is one for each.
inline Floats broadcast(const float *word) { return *word - Floats{}; }
inline Words broadcast(const uint32_t *word) { return *word - Words{}; }
#endif

struct F32 {
  using Word = float;
  static Floats multiply_add(Floats sum, Floats left, Floats right) { return sum + left * right; }
};

// Of each two products, the one of the lower halves is added first, unless the processor has an instruction for both.
struct Bf16 {
  using Word = uint32_t;
  static Floats multiply_add(Floats sum, Words left, Floats right) {
#if defined(__AVX512BF16__)
    return _mm512_dpbf16_ps(sum, (__m512bh)left, (__m512bh)right);
#else
    const Words words = reinterpret_cast<Words>(right);
    sum += as_floats(left << 16) * as_floats(words << 16);
    return sum + as_floats(left & 0xffff0000u) * as_floats(words & 0xffff0000u);
#endif
  }
};

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
