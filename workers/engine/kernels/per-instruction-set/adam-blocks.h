// AdamW with moments in 8 bits (Dettmers et al. 2022) or in f32, a block of elements at a time, as in bitsandbytes. It is compiled once for each
// instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

// Elements that share the scale of their moments.
constexpr int64_t kAdamBlock = 256;
// Codes of a map, and numbers that agree in their upper 16 bits.
constexpr int64_t kCodes = 256, kPrefixes = 1 << 16;

// Numbers between -1 and 1 that stand for 8-bit codes, in ascending order.
struct CodeMap {
  float values[kCodes];
  // Between a value and the next; infinite after the last.
  float bounds[kCodes];
  // By the upper 16 bits of an f32: how many bounds are below the least number that begins with them. At most one bound has the same beginning,
  // because a step of the map is wider than 1/128 of its values.
  int32_t bounds_below[kPrefixes];
};

// One block of a parameter. Its last block has fewer elements than the others.
struct AdamBlock {
  int64_t count;
  float *parameter;
  const float *gradient;
  uint8_t *m, *v;              // codes
  float *m_absmax, *v_absmax;  // one number each: what the codes' values are multiplied with
};

struct AdamScalars {
  float gradient_scale;
  float beta1, one_minus_beta1, beta2, one_minus_beta2, epsilon;
  float rate;               // learning rate ÷ (1 − β₁ᵗ)
  float second_correction;  // √(1 − β₂ᵗ)
  float decay;              // learning rate · λ
};

struct AdamBlocks {
  // θ ← θ·(1 − decay) − rate·m / (√v / second_correction + ε) with the new m and v, which are then rounded to the nearest codes.
  void (*update)(const AdamBlock &, const AdamScalars &, const CodeMap &of_m, const CodeMap &of_v);
  // The same with m and v in f32.
  void (*update_plain)(int64_t count, float *parameter, const float *gradient, float *m, float *v, const AdamScalars &);
  // Sum of the squares of a block's gradients, always in the same order.
  double (*squares)(const float *gradient, int64_t count);
};

// That of the instruction set that runs.
const AdamBlocks &adam_blocks();

namespace baseline {
extern const AdamBlocks adam_blocks;
}
namespace avx2 {
extern const AdamBlocks adam_blocks;
}
namespace avx512 {
extern const AdamBlocks adam_blocks;
}
namespace avx512_bf16 {
extern const AdamBlocks adam_blocks;
}
namespace amx {
extern const AdamBlocks adam_blocks;
}

}  // namespace graft
