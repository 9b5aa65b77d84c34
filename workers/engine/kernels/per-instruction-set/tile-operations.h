// Arithmetic on short arrays of floats that are in the first-level cache. It is compiled once for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

enum Unary { kNeg, kSquare, kSqrt, kRsqrt, kExp, kTanh, kSigmoid, kRoundToBf16, kUnaryCount };
enum Binary { kAdd, kSub, kMul, kDiv, kMaximum, kMinimum, kLess, kLessEqual, kGreater, kGreaterEqual, kEqual, kNotEqual, kBinaryCount };
enum Reduction { kSum, kMean, kMax, kMin, kReductionCount };

struct TileOperations {
  // `out` may be the same memory as an input.
  void (*unary[kUnaryCount])(const float *x, float *out, int64_t n);
  void (*vector_vector[kBinaryCount])(const float *a, const float *b, float *out, int64_t n);
  void (*vector_scalar[kBinaryCount])(const float *a, float b, float *out, int64_t n);
  void (*scalar_vector[kBinaryCount])(float a, const float *b, float *out, int64_t n);
  float (*reduction[kReductionCount])(const float *x, int64_t n);
  void (*select)(const float *condition, const float *a, const float *b, float *out, int64_t n);
  void (*from_bf16)(const uint16_t *x, float *out, int64_t n);
  void (*to_bf16)(const float *x, uint16_t *out, int64_t n);
  // e^(factor·x − shift). @return their sum
  float (*exponentials)(const float *x, float factor, float shift, float *out, int64_t n);
  // Replaces scores with P = e^(factor·p − log), and dP with dS = P·(dP − sum), where sum is Σ dP·P.
  void (*softmax_gradient)(float *p, float factor, float log, float sum, float *d_p, int64_t n);
};

// Those of the instruction set that runs.
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
namespace avx512_bf16 {
extern const TileOperations operations;
}
namespace amx {
extern const TileOperations operations;
}

}  // namespace graft
