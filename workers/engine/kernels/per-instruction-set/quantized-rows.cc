// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/quantized-rows.h"

#include <cstring>

#include "quantized-matrix.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

inline float nf4_value(const uint8_t *codes, int64_t i) { return kNf4Values[i % 2 == 0 ? codes[i / 2] >> 4 : codes[i / 2] & 15]; }

#if defined(__AVX512F__)
typedef float Floats16 __attribute__((vector_size(64)));
typedef uint32_t Words16 __attribute__((vector_size(64)));
typedef uint8_t Bytes16 __attribute__((vector_size(16)));

// 32 elements, whose codes begin with a byte. A shuffle reads the lowest four bits of its indices.
inline void nf4_pairs(const uint8_t *codes, Floats16 values, float scale, float *out) {
  constexpr Words16 first_half = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23};
  constexpr Words16 second_half = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  Bytes16 packed;
  std::memcpy(&packed, codes, sizeof packed);
  const Words16 bytes = __builtin_convertvector(packed, Words16);
  const Floats16 even = __builtin_shuffle(values, bytes >> 4) * scale, odd = __builtin_shuffle(values, bytes) * scale;
  const Floats16 halves[] = {__builtin_shuffle(even, odd, first_half), __builtin_shuffle(even, odd, second_half)};
  std::memcpy(out, halves, sizeof halves);
}
#endif

void nf4(const uint8_t *codes, float scale, int64_t first, float *out, int64_t count) {
  int64_t i = 0;
#if defined(__AVX512F__)
  if (first % 2 == 0) {
    Floats16 values;
    std::memcpy(&values, kNf4Values, sizeof values);
    for (; i + 32 <= count; i += 32) nf4_pairs(codes + (first + i) / 2, values, scale, out + i);
  }
#endif
  for (; i < count; i++) out[i] = nf4_value(codes, first + i) * scale;
}

void int8(const int8_t *codes, float scale, float *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = static_cast<float>(codes[i]) * scale * kInt8Step;
}

}  // namespace

extern const QuantizedRows quantized_rows = {nf4, int8};

}  // namespace graft::GRAFT_INSTRUCTIONS
