// Products of matrices that fit the caches, in words of 32 bits: a word is one f32 number, or two bf16 numbers that are neighbours along the inner
// axis. Compiled once for each instruction set; the processor decides at run time.
#pragma once

#include <cstdint>

namespace graft {

// out [rows, columns] = from + left [rows, inner] · right [inner, columns]. What is added to may be the same memory as what comes out.
struct WordProduct {
  // How far apart rows are, and neighbours on the inner axis, in words.
  const void *left;
  int64_t left_row, left_inner;
  // [inner, columns]; as many as a multiple of kColumnBlock are read of each row.
  const void *right;
  int64_t right_row;
  // Of numbers, not of words; without `from` it is 0.
  const void *from;
  void *out;
  int64_t out_row;
  int64_t rows, inner, columns;
};

struct WordProducts {
  // Named for the words, and for the numbers of the result.
  void (*f32_to_f32)(const WordProduct &);
  void (*bf16_to_f32)(const WordProduct &);
  void (*bf16_to_bf16)(const WordProduct &);

  // Two rows as one of words: of each column the two numbers.
  void (*pair_f32)(const float *first, const float *second, uint32_t *out, int64_t columns);
  void (*pair_bf16)(const uint16_t *first, const uint16_t *second, uint32_t *out, int64_t columns);
};

// Of a product's columns, as many as the widest register has numbers.
constexpr int64_t kColumnBlock = 16;

// The best that this processor has.
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

}  // namespace graft
