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
  const float *x;
  const void *w;
  float *out;
  int64_t out_row_stride;
  int64_t rows, inner, columns;
};

struct RowProducts {
  // Named for the type of w.
  void (*f32)(const RowProduct &);
  void (*bf16)(const RowProduct &);
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

}  // namespace graft
