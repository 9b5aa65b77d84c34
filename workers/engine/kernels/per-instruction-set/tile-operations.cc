// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS). These are plain loops; the compiler vectorises them.
#include "per-instruction-set/tile-operations.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "bfloat16.h"

// Precedes a loop in which no iteration reads what another one writes: the compiler then vectorises it without checking whether arrays overlap.
#if defined(__clang__)
#define INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// e^x = 2^n · e^r with |r| ≤ ½ ln 2; the polynomial is that of Cephes' expf. Below −86, close to the smallest normal float, the result is 0.
inline float exponential(float x) {
  const float shift = 12582912.0f;  // 1.5 · 2^23: adding it leaves an integer in the last bits
  const float shifted = x * 1.44269504088896341f + shift;
  const float n = shifted - shift;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const float y = from_bits(to_bits(p) + ((to_bits(shifted) - 1u) << 23)) * 2.0f;  // in two steps: 2^128 is not a float
  const float result = x < -86.0f ? 0.0f : x > 88.73f ? std::numeric_limits<float>::infinity() : y;
  return x != x ? x : result;
}

#if defined(__AVX512F__)
// The same of a register, with the same bits. Scaling by 2^n is one instruction, which also overflows as it should.
inline __m512 exponential(__m512 x) {
  const __m512 bounded = x > 89.0f ? __m512{} + 89.0f : x;  // NaN stays NaN
  const __m512 shift = __m512{} + 12582912.0f;
  const __m512 n = (bounded * 1.44269504088896341f + shift) - shift;
  const __m512 r = (bounded - n * 0.693359375f) + n * 2.12194440e-4f;
  __m512 p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, __m512{} - 86.0f, _CMP_NLT_UQ), p, n);
}

inline __mmask16 first_lanes(int64_t count) { return static_cast<__mmask16>(count < 16 ? (1u << count) - 1 : 0xffffu); }

// Calls `work` with each register's worth of an array: its first index, and a mask of the lanes that are in the array.
template <class Work>
inline void each_register(int64_t n, const Work &work) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) work(i, static_cast<__mmask16>(0xffff));
  if (i < n) work(i, first_lanes(n - i));
}
#endif

// Cephes' tanhf: a polynomial near 0, where 1 − 2 / (e^2x + 1) loses digits.
inline float hyperbolic_tangent(float x) {
  const float z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float near = p * z * x + x;
  const float size = x < 0.0f ? -x : x;
  const float far = 1.0f - 2.0f / (exponential(2.0f * size) + 1.0f);
  const float signed_far = x < 0.0f ? -far : far;
  return size < 0.625f ? near : signed_far;
}

template <int operation>
inline float apply(float x) {
  if constexpr (operation == kNeg) return -x;
  if constexpr (operation == kSquare) return x * x;
  if constexpr (operation == kSqrt) return std::sqrt(x);
  if constexpr (operation == kRsqrt) return 1.0f / std::sqrt(x);
  if constexpr (operation == kExp) return exponential(x);
  if constexpr (operation == kTanh) return hyperbolic_tangent(x);
  if constexpr (operation == kSigmoid) return 1.0f / (1.0f + exponential(-x));
  if constexpr (operation == kRoundToBf16) return from_bits(static_cast<uint32_t>(to_bfloat16(x)) << 16);
}

template <int operation>
inline float apply(float a, float b) {
  if constexpr (operation == kAdd) return a + b;
  if constexpr (operation == kSub) return a - b;
  if constexpr (operation == kMul) return a * b;
  if constexpr (operation == kDiv) return a / b;
  if constexpr (operation == kMaximum) return a > b ? a : b;
  if constexpr (operation == kMinimum) return a < b ? a : b;
  if constexpr (operation == kLess) return a < b ? 1.0f : 0.0f;
  if constexpr (operation == kLessEqual) return a <= b ? 1.0f : 0.0f;
  if constexpr (operation == kGreater) return a > b ? 1.0f : 0.0f;
  if constexpr (operation == kGreaterEqual) return a >= b ? 1.0f : 0.0f;
  if constexpr (operation == kEqual) return a == b ? 1.0f : 0.0f;
  if constexpr (operation == kNotEqual) return a != b ? 1.0f : 0.0f;
}

template <int operation>
void unary(const float *x, float *out, int64_t n) {
#if defined(__AVX512F__)
  if constexpr (operation == kExp || operation == kSigmoid) {
    return each_register(n, [&](int64_t i, __mmask16 within) {
      const __m512 given = _mm512_maskz_loadu_ps(within, x + i);
      _mm512_mask_storeu_ps(out + i, within, operation == kExp ? exponential(given) : 1.0f / (1.0f + exponential(-given)));
    });
  }
#endif
  INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; i++) out[i] = apply<operation>(x[i]);
}

template <int operation>
void vector_vector(const float *a, const float *b, float *out, int64_t n) {
  INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; i++) out[i] = apply<operation>(a[i], b[i]);
}

template <int operation>
void vector_scalar(const float *a, float b, float *out, int64_t n) {
  INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; i++) out[i] = apply<operation>(a[i], b);
}

template <int operation>
void scalar_vector(float a, const float *b, float *out, int64_t n) {
  INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; i++) out[i] = apply<operation>(a, b[i]);
}

// Lanes of a sum. They are combined in a fixed order, so that it has the same bits for any number of threads.
constexpr int kSumLanes = 64;

template <int combine>
float combine_lanes(float *partial) {
  for (int width = kSumLanes / 2; width > 0; width /= 2)
    for (int j = 0; j < width; j++) partial[j] = apply<combine>(partial[j + width], partial[j]);
  return partial[0];
}

template <int operation>
float reduction(const float *x, int64_t n) {
  constexpr int combine = operation == kMax ? kMaximum : operation == kMin ? kMinimum : kAdd;
  float partial[kSumLanes];
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float first = combine == kAdd ? 0.0f : combine == kMaximum ? -infinity : infinity;
  for (int j = 0; j < kSumLanes; j++) partial[j] = first;
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (int j = 0; j < kSumLanes; j++) partial[j] = apply<combine>(x[i + j], partial[j]);
  for (int j = 0; i < n; i++, j++) partial[j] = apply<combine>(x[i], partial[j]);
  const float result = combine_lanes<combine>(partial);
  return operation == kMean ? result / static_cast<float>(n) : result;
}

void select(const float *condition, const float *a, const float *b, float *out, int64_t n) {
  INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; i++) out[i] = condition[i] != 0.0f ? a[i] : b[i];
}

void from_bf16(const uint16_t *x, float *out, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = from_bits(static_cast<uint32_t>(x[i]) << 16);
}

void to_bf16(const float *x, uint16_t *out, int64_t n) {
  int64_t i = 0;
#if defined(__AVX512BF16__)
  for (; i + 32 <= n; i += 32) {
    const __m512bh numbers = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
    std::memcpy(out + i, &numbers, sizeof numbers);
  }
#endif
  for (; i < n; i++) out[i] = to_bfloat16(x[i]);
}

float exponentials(const float *x, float factor, float shift, float *out, int64_t n) {
  float partial[kSumLanes] = {};
#if defined(__AVX512F__)
  __m512 sums[kSumLanes / 16] = {};
  const auto add = [&](int64_t i, __mmask16 within, __m512 *sum) {
    const __m512 y = exponential(_mm512_maskz_loadu_ps(within, x + i) * factor - shift);
    _mm512_mask_storeu_ps(out + i, within, y);
    *sum = _mm512_mask_add_ps(*sum, within, *sum, y);
  };
  int64_t i = 0;
  for (; i + kSumLanes <= n; i += kSumLanes)
    for (int j = 0; j < kSumLanes / 16; j++) add(i + j * 16, 0xffff, &sums[j]);
  for (int j = 0; i < n; i += 16, j++) add(i, first_lanes(n - i), &sums[j]);
  std::memcpy(partial, sums, sizeof partial);
#else
  for (int64_t first = 0; first < n; first += kSumLanes) {
    const int64_t count = std::min<int64_t>(n - first, kSumLanes);
    INDEPENDENT_ITERATIONS
    for (int64_t j = 0; j < count; j++) {
      out[first + j] = exponential(x[first + j] * factor - shift);
      partial[j] += out[first + j];
    }
  }
#endif
  return combine_lanes<kAdd>(partial);
}

void softmax_gradient(float *p, float factor, float log, float sum, float *d_p, int64_t n) {
#if defined(__AVX512F__)
  each_register(n, [&](int64_t i, __mmask16 within) {
    const __m512 y = exponential(_mm512_maskz_loadu_ps(within, p + i) * factor - log);
    _mm512_mask_storeu_ps(p + i, within, y);
    _mm512_mask_storeu_ps(d_p + i, within, y * (_mm512_maskz_loadu_ps(within, d_p + i) - sum));
  });
#else
  INDEPENDENT_ITERATIONS
  for (int64_t i = 0; i < n; i++) {
    p[i] = exponential(p[i] * factor - log);
    d_p[i] = p[i] * (d_p[i] - sum);
  }
#endif
}

#define EACH_BINARY(f) \
  {f<kAdd>, f<kSub>, f<kMul>, f<kDiv>, f<kMaximum>, f<kMinimum>, f<kLess>, f<kLessEqual>, f<kGreater>, f<kGreaterEqual>, f<kEqual>, f<kNotEqual>}

}  // namespace

extern const TileOperations operations = {
    {unary<kNeg>, unary<kSquare>, unary<kSqrt>, unary<kRsqrt>, unary<kExp>, unary<kTanh>, unary<kSigmoid>, unary<kRoundToBf16>},
    EACH_BINARY(vector_vector),
    EACH_BINARY(vector_scalar),
    EACH_BINARY(scalar_vector),
    {reduction<kSum>, reduction<kMean>, reduction<kMax>, reduction<kMin>},
    select,
    from_bf16,
    to_bf16,
    exponentials,
    softmax_gradient,
};

}  // namespace graft::GRAFT_INSTRUCTIONS
