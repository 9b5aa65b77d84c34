// Products of words of bf16 (word-products.h) on the processor's matrix unit (AMX). Included where the instruction set has it.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "amx-tiles.h"
#include "blocks.h"
#include "squares.h"
#include "word-products.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Up to four tiles of sums, which do not wait for each other, and those of the operands: whole ones, and the last along the inner axis.
constexpr int kSums = 4, kLeft = 4, kRight = 5, kLastLeft = 6, kLastRight = 7;

// One with a left operand whose words lie one after the other.
struct AmxProduct {
  const uint32_t *left;
  int64_t left_stride;  // in words
  const uint32_t *right;
  int64_t right_stride;
  int64_t whole, last;  // words of the inner axis in whole tiles, and after them
};

// @param down, across tiles of sums
template <int left_tile, int right_tile, int down, int across>
inline void multiply_tiles_at(const AmxProduct &product, int64_t word) {
  const int64_t left_bytes = product.left_stride * 4, right_bytes = product.right_stride * 4;
  const uint32_t *left = product.left + word, *right = product.right + word * product.right_stride;
  if constexpr (across == 1) load_tile<right_tile>(right, right_bytes);
  unrolled<down>([&](auto i) {
    constexpr int row = decltype(i)::value;
    load_tile<left_tile>(left + row * kTileRows * product.left_stride, left_bytes);
    unrolled<across>([&](auto j) {
      constexpr int column = decltype(j)::value;
      if constexpr (across > 1) load_tile<right_tile>(right + column * kTileColumns, right_bytes);
      multiply_tiles<row * across + column, left_tile, right_tile>();
    });
  });
}

// The first `columns` of 16 sums, plus an addend if there is one.
template <class Element>
inline void put(Floats sums, const Element *addend, Element *out, int64_t columns) {
  if (columns == kTileColumns) return write(addend == nullptr ? sums : sums + read(addend), out);
  Element whole[kTileColumns] = {};
  if (addend != nullptr) std::memcpy(whole, addend, columns * sizeof(Element));
  write(sums + read(whole), whole);
  std::memcpy(out, whole, columns * sizeof(Element));
}

// @param rows, columns of the result, of which the last tile has the rest
template <class Element, int down, int across>
inline void sums_of_tiles(const AmxProduct &product, const Element *addend, Element *out, int64_t out_stride, int64_t rows, int64_t columns) {
  unrolled<down * across>([](auto tile) { zero_tile<decltype(tile)::value>(); });
  for (int64_t word = 0; word < product.whole; word += kTileWords) multiply_tiles_at<kLeft, kRight, down, across>(product, word);
  if (product.last > 0) multiply_tiles_at<kLastLeft, kLastRight, down, across>(product, product.whole);
  unrolled<down * across>([&](auto tile) {
    constexpr int number = decltype(tile)::value;
    const int64_t row = number / across * kTileRows, column = number % across * kTileColumns;
    alignas(64) float sums[kTileRows][kTileColumns];
    store_tile<number>(sums, sizeof sums[0]);
    for (int64_t i = 0; i < std::min(kTileRows, rows - row); i++) {
      const int64_t at = (row + i) * out_stride + column;
      put(load<Floats>(sums[i]), addend == nullptr ? nullptr : addend + at, out + at, std::min(kTileColumns, columns - column));
    }
  });
}

// As many rows at a time as there are tiles for.
template <class Element, int across>
void multiply_columns(AmxProduct product, const Element *addend, Element *out, int64_t out_stride, int64_t rows, int64_t columns) {
  constexpr int down = kSums / across;
  const auto next = [&](int64_t count) {
    product.left += count * product.left_stride;
    if (addend != nullptr) addend += count * out_stride;
    out += count * out_stride;
    rows -= count;
  };
  for (; rows >= down * kTileRows; next(down * kTileRows)) sums_of_tiles<Element, down, across>(product, addend, out, out_stride, rows, columns);
  for (; rows > 0; next(std::min(kTileRows, rows))) sums_of_tiles<Element, 1, across>(product, addend, out, out_stride, rows, columns);
}

// @param rows whole tiles of them, or fewer than a tile has
template <class Element>
void multiply_rows(AmxProduct product, const Element *addend, Element *out, int64_t out_stride, int64_t rows, int64_t columns) {
  const Tiles tiles([&](int tile) {
    const int64_t of_left = std::min(kTileRows, rows);
    if (tile == kLastLeft) return std::pair<int64_t, int64_t>(of_left, std::max<int64_t>(product.last, 1) * 4);
    if (tile == kLastRight) return std::pair<int64_t, int64_t>(std::max<int64_t>(product.last, 1), kTileBytes);
    return std::pair<int64_t, int64_t>(tile == kRight ? kTileWords : of_left, kTileBytes);
  });
  const auto next = [&](int64_t count) {
    product.right += count;
    if (addend != nullptr) addend += count;
    out += count;
    columns -= count;
  };
  for (; columns > 3 * kTileColumns; next(std::min(4 * kTileColumns, columns)))
    multiply_columns<Element, 4>(product, addend, out, out_stride, rows, columns);
  if (columns > 2 * kTileColumns) return multiply_columns<Element, 3>(product, addend, out, out_stride, rows, columns);
  if (columns > kTileColumns) return multiply_columns<Element, 2>(product, addend, out, out_stride, rows, columns);
  if (columns > 0) multiply_columns<Element, 1>(product, addend, out, out_stride, rows, columns);
}

// The left operand of a product in which one row's words lie apart, and those of neighbouring rows side by side: transposed, in squares.
const uint32_t *transposed_left(const WordProduct &product, int64_t stride, std::vector<uint32_t> *memory) {
  const auto *left = static_cast<const uint32_t *>(product.left);
  const size_t needed = blocks_of(product.rows, kLanes) * kLanes * stride;
  if (memory->size() < needed) memory->resize(needed);
  for (int64_t row = 0; row < product.rows; row += kLanes)
    for (int64_t word = 0; word < product.inner; word += kLanes) {
      Words square[kLanes];
      const int64_t stride_of_words = product.left_inner_stride;
      read_transposed(left + word * stride_of_words + row, stride_of_words, product.inner - word, product.rows - row, square);
      for (int i = 0; i < kLanes; i++) std::memcpy(memory->data() + (row + i) * stride + word, &square[i], sizeof square[i]);
    }
  return memory->data();
}

// The sums are taken in the order of the inner axis, whatever is computed beside them.
template <class Element>
void amx_multiply(const WordProduct &product) {
  static thread_local std::vector<uint32_t> memory;
  const int64_t last = product.inner % kTileWords;
  AmxProduct words = {static_cast<const uint32_t *>(product.left),
                      product.left_row_stride,
                      static_cast<const uint32_t *>(product.right),
                      product.right_row_stride,
                      product.inner - last,
                      last};
  if (product.left_inner_stride != 1) {
    words.left_stride = blocks_of(product.inner, kLanes) * kLanes;
    words.left = transposed_left(product, words.left_stride, &memory);
  }
  const auto *addend = static_cast<const Element *>(product.addend);
  auto *out = static_cast<Element *>(product.out);
  const int64_t whole_rows = product.rows / kTileRows * kTileRows;
  if (whole_rows > 0) multiply_rows(words, addend, out, product.out_row_stride, whole_rows, product.columns);
  if (whole_rows == product.rows) return;
  words.left += whole_rows * words.left_stride;
  const int64_t offset = whole_rows * product.out_row_stride;
  multiply_rows(words, addend == nullptr ? nullptr : addend + offset, out + offset, product.out_row_stride, product.rows - whole_rows,
                product.columns);
}

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
