// Matrix products whose operands fit the caches. Operands consist of 32-bit words: a word is one f32 element, or two bf16 elements that are
// neighbours on the inner axis. The products are compiled once for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

// out [rows, columns] = addend + left [rows, inner] · right [inner, columns]
struct WordProduct {
  // Strides in words.
  const void *left;
  int64_t left_row_stride, left_inner_stride;
  // Each row is read up to the next multiple of kColumnBlock.
  const void *right;
  int64_t right_row_stride;
  // In elements, not in words. Without an addend it counts as 0; it may be the same memory as `out`.
  const void *addend;
  void *out;
  int64_t out_row_stride;
  // `inner` counts words.
  int64_t rows, inner, columns;
};

struct WordProducts {
  // Named for the type in the words and the type of the result.
  void (*f32_to_f32)(const WordProduct &);
  void (*bf16_to_f32)(const WordProduct &);
  void (*bf16_to_bf16)(const WordProduct &);

  // Interleaves two rows into one row of words, each of which holds the two elements of one column in bf16.
  void (*interleave_f32)(const float *first, const float *second, uint32_t *out, int64_t columns);
  void (*interleave_bf16)(const uint16_t *first, const uint16_t *second, uint32_t *out, int64_t columns);
};

// The number of floats in the widest register.
constexpr int64_t kColumnBlock = 16;

// Those of the instruction set that runs.
const WordProducts &word_products();

namespace baseline {
extern const WordProducts products;
}
namespace avx2 {
extern const WordProducts products;
}
namespace avx512 {
extern const WordProducts products;
}
namespace avx512_bf16 {
extern const WordProducts products;
}
namespace amx {
extern const WordProducts products;
}

}  // namespace graft
