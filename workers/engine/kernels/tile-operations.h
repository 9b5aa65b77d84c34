// Arithmetic on short runs of floats that lie in the first-level cache. Compiled once for each instruction set; the processor decides at run time.
#pragma once

#include <cstdint>

namespace graft {

enum Unary { kNeg, kSquare, kSqrt, kRsqrt, kExp, kTanh, kSigmoid, kRoundToBf16, kUnaryCount };
enum Binary { kAdd, kSub, kMul, kDiv, kMaximum, kMinimum, kLess, kLessEqual, kGreater, kGreaterEqual, kEqual, kNotEqual, kBinaryCount };
enum Reduction { kSum, kMean, kMax, kMin, kReductionCount };

struct TileOperations {
  // Out may be the same memory as an input.
  void (*unary[kUnaryCount])(const float *x, float *out, int64_t n);
  void (*vector_vector[kBinaryCount])(const float *a, const float *b, float *out, int64_t n);
  void (*vector_scalar[kBinaryCount])(const float *a, float b, float *out, int64_t n);
  void (*scalar_vector[kBinaryCount])(float a, const float *b, float *out, int64_t n);
  float (*reduction[kReductionCount])(const float *x, int64_t n);
  void (*select)(const float *condition, const float *a, const float *b, float *out, int64_t n);
  void (*from_bf16)(const uint16_t *x, float *out, int64_t n);
  void (*to_bf16)(const float *x, uint16_t *out, int64_t n);

  // Products of matrices that fit the caches. Columns are a multiple of kColumnBlock; a stride is the distance of two rows.
  // out [rows, columns] += h [rows, inner] · t [inner, columns]
  void (*add_product)(const float *h, int64_t h_stride, const float *t, int64_t t_stride, float *out, int64_t out_stride, int64_t rows, int64_t inner,
                      int64_t columns);
  // out [rank, columns] += hᵀ [rank, inner] · x [inner, columns]
  void (*add_transposed_product)(const float *h, int64_t h_stride, const float *x, int64_t x_stride, float *out, int64_t out_stride, int64_t inner,
                                 int64_t rank, int64_t columns);
  // out [rows, stride] = x [rows, columns] · t [columns, stride], the stride being a multiple of kRankBlock
  void (*rank_reduce)(const float *x, const float *t, float *out, int64_t rows, int64_t columns, int64_t stride);
};

constexpr int64_t kColumnBlock = 64;
constexpr int64_t kRankBlock = 16;

// The best that this processor has.
const TileOperations &tile_operations();

namespace baseline {
extern const TileOperations operations;
}
namespace avx2 {
extern const TileOperations operations;
}
namespace avx512 {
extern const TileOperations operations;
}

}  // namespace graft
