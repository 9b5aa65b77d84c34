// Matrices packed into the 32-bit words that products take (word-products.h). Kernels are templates over the type of an element: float, or uint16_t
// for bf16.
#pragma once

#include <cstring>
#include <type_traits>
#include <vector>

#include "float-access.h"
#include "per-instruction-set/word-products.h"

namespace graft {

// The next multiple of kColumnBlock.
inline int64_t padded(int64_t columns) { return (columns + kColumnBlock - 1) / kColumnBlock * kColumnBlock; }

template <class Element>
struct Words;

template <>
struct Words<float> {
  using Word = float;
  static constexpr int64_t kPerWord = 1;
  static void multiply(const WordProduct &product) { word_products().f32_to_f32(product); }
  static void multiply_to_elements(const WordProduct &product) { word_products().f32_to_f32(product); }
  static void interleave(const float *first, const float *, Word *out, int64_t columns) { std::memcpy(out, first, columns * sizeof(float)); }
  static void interleave(const uint16_t *first, const uint16_t *, Word *out, int64_t columns) { tile_operations().from_bf16(first, out, columns); }
};

template <>
struct Words<uint16_t> {
  using Word = uint32_t;
  static constexpr int64_t kPerWord = 2;
  static void multiply(const WordProduct &product) { word_products().bf16_to_f32(product); }
  static void multiply_to_elements(const WordProduct &product) { word_products().bf16_to_bf16(product); }
  static void interleave(const float *first, const float *second, Word *out, int64_t columns) {
    word_products().interleave_f32(first, second, out, columns);
  }
  static void interleave(const uint16_t *first, const uint16_t *second, Word *out, int64_t columns) {
    word_products().interleave_bf16(first, second, out, columns);
  }
};

template <class Element>
using Word = typename Words<Element>::Word;

// The number of words that hold this many elements.
template <class Element>
constexpr int64_t word_count(int64_t elements) {
  return (elements + Words<Element>::kPerWord - 1) / Words<Element>::kPerWord;
}

// Calls `work` with a value of the tensor's element type.
template <class Work>
void with_element_type(const tensorflow::Tensor &tensor, const Work &work) {
  if (tensor.dtype() == tensorflow::DT_BFLOAT16)
    work(uint16_t{});
  else
    work(float{});
}

template <class Element>
const Element *elements(const tensorflow::Tensor &tensor) {
  return static_cast<const Element *>(tensor.data());
}

template <class Element>
struct PackedMatrix {
  const Word<Element> *data;
  int64_t stride;  // in words
};

// Packs a matrix whose rows are the inner axis into rows of words that are `out_stride` apart. An odd last row is paired with zeros.
template <class Element, class Given>
void interleave_rows_into(const Given *x, int64_t stride, int64_t rows, int64_t columns, Word<Element> *out, int64_t out_stride) {
  std::vector<Given> zeros(rows % Words<Element>::kPerWord == 0 ? 0 : columns);
  for (int64_t first = 0; first < rows; first += Words<Element>::kPerWord, out += out_stride) {
    const int64_t second = first + Words<Element>::kPerWord - 1;
    Words<Element>::interleave(x + first * stride, second < rows ? x + second * stride : zeros.data(), out, columns);
  }
}

// Packs a matrix whose rows are the inner axis: [rows, columns] becomes [word_count(rows), columns]. An odd last row is paired with zeros.
// @param memory holds the result where it is not the matrix itself
template <class Element, class Given>
PackedMatrix<Element> interleave_rows(const Given *x, int64_t stride, int64_t rows, int64_t columns, std::vector<Word<Element>> *memory) {
  if constexpr (std::is_same_v<Given, Word<Element>>)
    if (columns % kColumnBlock == 0) return {x, stride};
  const int64_t out_stride = padded(columns), needed = word_count<Element>(rows) * out_stride;
  if (static_cast<int64_t>(memory->size()) < needed) memory->resize(needed);
  interleave_rows_into<Element>(x, stride, rows, columns, memory->data(), out_stride);
  return {memory->data(), out_stride};
}

// Packs an f32 matrix whose columns are the inner axis: [rows, columns] becomes [rows, word_count(columns)]. The columns must fill whole words.
// @param memory holds the result where it is not the matrix itself
template <class Element>
PackedMatrix<Element> pack_rows(const float *x, int64_t rows, int64_t columns, std::vector<Word<Element>> *memory) {
  if constexpr (std::is_same_v<float, Element>) {
    return {x, columns};
  } else {
    const int64_t stride = word_count<Element>(columns);
    if (static_cast<int64_t>(memory->size()) < rows * stride) memory->resize(rows * stride);
    tile_operations().to_bf16(x, reinterpret_cast<uint16_t *>(memory->data()), rows * columns);
    return {memory->data(), stride};
  }
}

// Packs a matrix whose columns are the inner axis, without a copy where they fill whole words of its own type.
template <class Element, class Given = Element>
PackedMatrix<Element> pack_whole_rows(const Given *x, int64_t rows, int64_t columns, std::vector<Word<Element>> *memory) {
  const int64_t stride = word_count<Element>(columns);
  if constexpr (!std::is_same_v<Element, Given>) {
    static_assert(std::is_same_v<Element, float>);
    memory->resize(rows * columns);
    tile_operations().from_bf16(x, memory->data(), rows * columns);
    return {memory->data(), stride};
  } else {
    if (stride * Words<Element>::kPerWord == columns) return {reinterpret_cast<const Word<Element> *>(x), stride};
    memory->assign(rows * stride, 0);
    for (int64_t i = 0; i < rows; i++) std::memcpy(memory->data() + i * stride, x + i * columns, columns * sizeof(Element));
    return {memory->data(), stride};
  }
}

}  // namespace graft
