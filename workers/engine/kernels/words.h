// Matrices as the words that products are made of (word-products.h), for kernels that do the same in f32 and in bf16.
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "float-access.h"
#include "per-instruction-set/word-products.h"

namespace graft {

inline int64_t padded(int64_t columns) { return (columns + kColumnBlock - 1) / kColumnBlock * kColumnBlock; }

template <class Number>
struct Words;

template <>
struct Words<float> {
  using Word = float;
  static constexpr int64_t kPerWord = 1;
  static void multiply(const WordProduct &product) { word_products().f32_to_f32(product); }
  static void multiply_to_numbers(const WordProduct &product) { word_products().f32_to_f32(product); }
  static void across(const float *first, const float *, Word *out, int64_t columns) { std::memcpy(out, first, columns * sizeof(float)); }
};

template <>
struct Words<uint16_t> {
  using Word = uint32_t;
  static constexpr int64_t kPerWord = 2;
  static void multiply(const WordProduct &product) { word_products().bf16_to_f32(product); }
  static void multiply_to_numbers(const WordProduct &product) { word_products().bf16_to_bf16(product); }
  static void across(const float *first, const float *second, Word *out, int64_t columns) { word_products().pair_f32(first, second, out, columns); }
  static void across(const uint16_t *first, const uint16_t *second, Word *out, int64_t columns) {
    word_products().pair_bf16(first, second, out, columns);
  }
};

template <class Number>
using Word = typename Words<Number>::Word;

template <class Number>
constexpr int64_t words(int64_t numbers) {
  return (numbers + Words<Number>::kPerWord - 1) / Words<Number>::kPerWord;
}

// Calls with a number of the type that the tensor is of: a float, or the bits of one in bf16.
template <class Work>
void with_number_of(const tensorflow::Tensor &tensor, const Work &work) {
  if (tensor.dtype() == tensorflow::DT_BFLOAT16)
    work(uint16_t{});
  else
    work(float{});
}

template <class Number>
const Number *numbers_of(const tensorflow::Tensor &t) {
  return static_cast<const Number *>(t.data());
}

// A matrix in words, for the right of a product or the left.
template <class Number>
struct InWords {
  const Word<Number> *data;
  int64_t stride;
};

// [words(rows), columns] of a matrix [rows, columns] whose inner axis is that of its rows. Zeros stand for the row that an odd number lacks.
// @param memory for them, which f32 does without
template <class Number, class Given>
InWords<Number> across_rows(const Given *x, int64_t stride, int64_t rows, int64_t columns, std::vector<Word<Number>> *memory) {
  if constexpr (std::is_same_v<Given, Word<Number>>)
    if (columns % kColumnBlock == 0) return {x, stride};
  const int64_t out_stride = padded(columns), count = words<Number>(rows);
  if (static_cast<int64_t>(memory->size()) < count * out_stride) memory->resize(count * out_stride);
  std::vector<Given> none(rows % Words<Number>::kPerWord == 0 ? 0 : columns);
  for (int64_t i = 0; i < count; i++) {
    const int64_t first = i * Words<Number>::kPerWord, second = first + Words<Number>::kPerWord - 1;
    Words<Number>::across(x + first * stride, second < rows ? x + second * stride : none.data(), memory->data() + i * out_stride, columns);
  }
  return {memory->data(), out_stride};
}

// [rows, words(columns)] of a matrix of f32 numbers whose inner axis is that of its columns, which are of whole words.
template <class Number>
InWords<Number> along_rows(const float *x, int64_t rows, int64_t columns, std::vector<Word<Number>> *memory) {
  if constexpr (std::is_same_v<float, Number>) {
    return {x, columns};
  } else {
    const int64_t stride = words<Number>(columns);
    if (static_cast<int64_t>(memory->size()) < rows * stride) memory->resize(rows * stride);
    tile_operations().to_bf16(x, reinterpret_cast<uint16_t *>(memory->data()), rows * columns);
    return {memory->data(), stride};
  }
}

}  // namespace graft
