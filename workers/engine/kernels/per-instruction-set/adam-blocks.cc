// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS). The loops are plain, so that the compiler uses vectors.
#include "per-instruction-set/adam-blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// A block of zeros is divided by this instead of by its largest element.
constexpr float kLeastAbsmax = 1e-38f;

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Numbers without their signs are ordered as their bits are.
float largest(const float *x, int64_t count) {
  uint32_t bits = 0;
  for (int64_t i = 0; i < count; i++) bits = std::max(bits, bits_of(x[i]) & 0x7fffffffu);
  float largest;
  std::memcpy(&largest, &bits, sizeof largest);
  return largest;
}

void decode(const uint8_t *codes, float absmax, const CodeMap &map, int64_t count, float *x) {
  for (int64_t i = 0; i < count; i++) x[i] = map.values[codes[i]] * absmax;
}

// The division of a short block and the product of a whole one are bitsandbytes' (backends/default, quantize_blockwise).
void encode(const float *x, const CodeMap &map, int64_t count, uint8_t *codes, float *absmax) {
  const float found = largest(x, count), least = std::max(found, kLeastAbsmax), reciprocal = 1.0f / least;
  const bool is_whole = count == kAdamBlock;
  *absmax = is_whole ? found : least;
  float scaled[kAdamBlock];
  if (is_whole)
    for (int64_t i = 0; i < count; i++) scaled[i] = x[i] * reciprocal;
  else
    for (int64_t i = 0; i < count; i++) scaled[i] = x[i] / least;
  // In arrays of its own, because codes might lie anywhere in memory.
  int32_t found_codes[kAdamBlock];
  for (int64_t i = 0; i < count; i++) {
    scaled[i] = scaled[i] < -1.0f ? -1.0f : scaled[i];
    scaled[i] = scaled[i] > 1.0f ? 1.0f : scaled[i];
    const int32_t below = map.bounds_below[bits_of(scaled[i]) >> 16];
    found_codes[i] = below + (scaled[i] > map.bounds[below]);
  }
  for (int64_t i = 0; i < count; i++) codes[i] = static_cast<uint8_t>(found_codes[i]);
}

// m and v are in memory of their own.
inline void step(int64_t count, float *parameter, const float *gradient, float *m, float *v, const AdamScalars &with) {
  const float kept = 1.0f - with.decay;
  for (int64_t i = 0; i < count; i++) {
    const float g = gradient[i] * with.gradient_scale;
    m[i] = m[i] * with.beta1 + with.one_minus_beta1 * g;
    v[i] = v[i] * with.beta2 + with.one_minus_beta2 * g * g;
    parameter[i] = parameter[i] * kept - with.rate * m[i] / (std::sqrt(v[i]) / with.second_correction + with.epsilon);
  }
}

void update(const AdamBlock &block, const AdamScalars &with, const CodeMap &of_m, const CodeMap &of_v) {
  float m[kAdamBlock], v[kAdamBlock];
  const int64_t count = block.count;
  decode(block.m, *block.m_absmax, of_m, count, m);
  decode(block.v, *block.v_absmax, of_v, count, v);
  step(count, block.parameter, block.gradient, m, v, with);
  encode(m, of_m, count, block.m, block.m_absmax);
  encode(v, of_v, count, block.v, block.v_absmax);
}

void update_plain(int64_t count, float *parameter, const float *gradient, float *m, float *v, const AdamScalars &with) {
  step(count, parameter, gradient, m, v, with);
}

double squares(const float *gradient, int64_t count) {
  constexpr int64_t kSums = 16;
  double sums[kSums] = {};
  int64_t i = 0;
  for (; i + kSums <= count; i += kSums)
    for (int64_t j = 0; j < kSums; j++) sums[j] += static_cast<double>(gradient[i + j]) * gradient[i + j];
  for (; i < count; i++) sums[0] += static_cast<double>(gradient[i]) * gradient[i];
  double sum = 0;
  for (int64_t j = 0; j < kSums; j++) sum += sums[j];
  return sum;
}

}  // namespace

const AdamBlocks adam_blocks = {update, update_plain, squares};

}  // namespace graft::GRAFT_INSTRUCTIONS
