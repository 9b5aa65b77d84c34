// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/quantized-rows.h"

#include <algorithm>
#include <cstring>

#include "bfloat16.h"
#include "per-instruction-set/word-formats.h"
#include "quantized-matrix.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
typedef int8_t SignedBytes __attribute__((vector_size(kLanes)));
typedef int16_t SignedHalves __attribute__((vector_size(kLanes * sizeof(int16_t))));
typedef int32_t SignedWords __attribute__((vector_size(kLanes * sizeof(int32_t))));

// In two steps: GCC 12 makes one step of each lane.
inline Words widened(Bytes bytes) { return __builtin_convertvector(__builtin_convertvector(bytes, Halves), Words); }
inline SignedWords widened(SignedBytes bytes) { return __builtin_convertvector(__builtin_convertvector(bytes, SignedHalves), SignedWords); }

inline void write(float value, float *out) { *out = value; }
inline void write(float value, uint16_t *out) { *out = to_bfloat16(value); }

// NF4's values, scaled.
template <class Element>
struct Nf4Values {
  explicit Nf4Values(float scale) {
    for (int i = 0; i < 16; i += kLanes) write(load<Floats>(kNf4Values + i) * scale, values + i);
  }
  Element of(const uint8_t *codes, int64_t i) const { return values[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15]; }
  Element values[16];
};

#if defined(__AVX2__)
// Elements whose codes are read at once.
constexpr int64_t kPairs = 2 * kLanes;

// The values at the places that the lowest four bits of the indices say.
inline Floats at(const Nf4Values<float> &values, Words indices) {
#if defined(__AVX512F__)
  return __builtin_shuffle(load<Floats>(values.values), indices);
#else
  return __builtin_shuffle(load<Floats>(values.values), load<Floats>(values.values + kLanes), indices);
#endif
}
#if defined(__AVX512F__)
inline Words at(const Nf4Values<uint16_t> &values, Halves indices) {
  return __builtin_convertvector((Halves)_mm256_permutexvar_epi16((__m256i)indices, load<__m256i>(values.values)), Words);
}
#endif

// Elements whose codes begin with a byte.
inline void read_pairs(const uint8_t *codes, const Nf4Values<float> &values, float *out) {
  const Words bytes = widened(load<Bytes>(codes)), even = reinterpret_cast<Words>(at(values, bytes >> 4)),
              odd = reinterpret_cast<Words>(at(values, bytes));
  write(as_floats(interleaved<false>(even, odd)), out);
  write(as_floats(interleaved<true>(even, odd)), out + kLanes);
}
inline void read_pairs(const uint8_t *codes, const Nf4Values<uint16_t> &values, uint16_t *out) {
#if defined(__AVX512F__)
  const Halves bytes = __builtin_convertvector(load<Bytes>(codes), Halves);
  const Words pairs = at(values, bytes >> 4) | at(values, bytes) << 16;
  std::memcpy(out, &pairs, sizeof pairs);
#else
  for (int64_t i = 0; i < kPairs; i++) out[i] = values.of(codes, i);
#endif
}
#endif

template <class Element>
void nf4(const uint8_t *codes, float scale, int64_t first, Element *out, int64_t count) {
  const Nf4Values<Element> values(scale);
  int64_t i = 0;
#if defined(__AVX2__)
  if (first % 2 == 0) {
    const uint8_t *from = codes + first / 2;
    for (; i + kPairs <= count; i += kPairs) read_pairs(from + i / 2, values, out + i);
    if (i == count) return;
    // What is read beyond the codes is the matrix's too: its scales follow.
    Element last[kPairs];
    read_pairs(from + i / 2, values, last);
    std::copy(last, last + (count - i), out + i);
    return;
  }
#endif
  for (; i < count; i++) out[i] = values.of(codes, first + i);
}

template <class Element>
void int8(const int8_t *codes, float scale, Element *out, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) write(__builtin_convertvector(widened(load<SignedBytes>(codes + i)), Floats) * scale * kInt8Step, out + i);
  for (; i < count; i++) write(static_cast<float>(codes[i]) * scale * kInt8Step, out + i);
}

}  // namespace

extern const QuantizedRows quantized_rows = {nf4<float>, nf4<uint16_t>, int8<float>, int8<uint16_t>};

}  // namespace graft::GRAFT_INSTRUCTIONS
