// Products of a few rows with a matrix that is too large for the caches: each of its elements is read from memory once, in order. They are compiled
// once for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

// out [rows, columns] = x [rows, inner] · wᵀ, w [columns, inner]
//
// Each element of the result is one sum in an order that depends on `inner` alone, so a row's results are the same to the bit whatever rows are
// beside it.
struct RowProduct {
  const void *x;
  const void *w;
  float *out;
  int64_t out_row_stride;
  int64_t rows, inner, columns;
};

// Products with a matrix in bf16 of rows that are rounded to bf16 first. Null where the instruction set has nothing for it that is faster.
struct RoundedRowProducts {
  // Elements that the rounded rows take.
  int64_t (*size)(int64_t rows, int64_t inner);
  void (*round)(const float *x, uint16_t *rounded, int64_t rows, int64_t inner);
  // x as `round` has written it.
  void (*multiply)(const RowProduct &);
};

struct RowProducts {
  // Named for the type of w.
  void (*f32)(const RowProduct &);
  void (*bf16)(const RowProduct &);
  RoundedRowProducts rounded_bf16;
};

// Those of the instruction set that runs.
const RowProducts &row_products();

namespace baseline {
extern const RowProducts row_products;
}
namespace avx2 {
extern const RowProducts row_products;
}
namespace avx512 {
extern const RowProducts row_products;
}
namespace avx512_bf16 {
extern const RowProducts row_products;
}
namespace amx {
extern const RowProducts row_products;
}

}  // namespace graft
