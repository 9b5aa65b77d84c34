// What a quantised matrix needs for each of its elements. It is compiled once for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

struct QuantizedRows {
  // Writes the elements from `first` on, which share a scale. @param codes of the whole matrix, two a byte, and followed by its scales
  void (*nf4)(const uint8_t *codes, float scale, int64_t first, float *out, int64_t count);
  void (*nf4_to_bf16)(const uint8_t *codes, float scale, int64_t first, uint16_t *out, int64_t count);
  void (*int8)(const int8_t *codes, float scale, float *out, int64_t count);
  void (*int8_to_bf16)(const int8_t *codes, float scale, uint16_t *out, int64_t count);
};

// Those of the instruction set that runs.
const QuantizedRows &quantized_rows();

namespace baseline {
extern const QuantizedRows quantized_rows;
}
namespace avx2 {
extern const QuantizedRows quantized_rows;
}
namespace avx512 {
extern const QuantizedRows quantized_rows;
}
namespace avx512_bf16 {
extern const QuantizedRows quantized_rows;
}
namespace amx {
extern const QuantizedRows quantized_rows;
}

}  // namespace graft
