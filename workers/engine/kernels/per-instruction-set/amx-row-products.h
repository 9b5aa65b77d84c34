// The products of rows with a bf16 matrix on the processor's matrix unit (AMX). Included where the instruction set has it.
//
// A tile of the matrix is 16 of its rows (columns of the result) with 32 elements each, as they lie in memory. A tile of x is 32 elements of up to 16
// rows, in pairs: element 2i of every row beside its element 2i + 1. Their product is 16 columns of the result for these rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "amx-tiles.h"
#include "bfloat16.h"
#include "row-products.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

constexpr int64_t kTileInner = 2 * kTileWords;

inline int64_t tiles_along(int64_t inner) { return (inner + kTileInner - 1) / kTileInner; }

int64_t amx_rounded_size(int64_t rows, int64_t inner) { return tiles_along(inner) * kTileInner * rows; }

// Group after group of 16 rows, or fewer at the end; each is [tile along the inner axis][pair][row][2]. Elements past the inner axis are zero.
void amx_round(const float *x, uint16_t *rounded, int64_t rows, int64_t inner) {
  std::memset(rounded, 0, amx_rounded_size(rows, inner) * sizeof(uint16_t));
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t count = std::min(kTileRows, rows - row);
    uint16_t *group = rounded + amx_rounded_size(row, inner);
    for (int64_t i = 0; i < count; i++)
      for (int64_t k = 0; k < inner; k++) group[(k / 2 * count + i) * 2 + k % 2] = to_bfloat16(x[(row + i) * inner + k]);
  }
}

// Tiles 0 to 3 are sums, 4 to 7 parts of the matrix, except that 7 is of x.
Tiles shaped(int64_t columns, int64_t rows) {
  return Tiles([&](int tile) {
    const bool of_matrix = tile >= 4 && tile < 7;
    return std::pair<int64_t, int64_t>(tile == 7 ? kTileInner / 2 : columns, of_matrix ? kTileBytes : rows * 4);
  });
}

struct AmxPart {
  const uint16_t *w;  // of the first column
  const uint16_t *x;  // of the group of rows
  float *out;
  int64_t out_row_stride, rows, inner;
};

// The last elements of the inner axis, followed by zeros.
inline const uint16_t *last_of(const uint16_t *w, int64_t inner, int64_t columns, uint16_t (&padded)[kTileRows][kTileInner]) {
  const int64_t whole = inner / kTileInner * kTileInner;
  std::memset(padded, 0, sizeof padded);
  for (int64_t column = 0; column < columns; column++) std::memcpy(padded[column], w + column * inner + whole, (inner - whole) * sizeof(uint16_t));
  return padded[0];
}

inline void prefetch_tile(const uint16_t *w, int64_t inner) {
  constexpr int64_t ahead = 512;  // elements: the processor does not prefetch the next columns' tiles by itself
  for (int64_t column = 0; column < kTileRows; column++) __builtin_prefetch(w + column * inner + ahead);
}

inline void put(const float (&sums)[kTileRows][kTileRows], const AmxPart &part, int64_t column, int64_t columns) {
  const float *values = sums[0];  // [columns][rows]
  for (int64_t row = 0; row < part.rows; row++)
    for (int64_t i = 0; i < columns; i++) part.out[row * part.out_row_stride + column + i] = values[i * kTileRows + row];
}

// 64 columns, whose four sums do not wait for each other.
void four_tiles(const AmxPart &part, int64_t column) {
  const auto [w, x, out, stride, rows, inner] = part;
  const uint16_t *from = w + column * inner;
  const int64_t bytes = inner * sizeof(uint16_t), x_bytes = rows * 2 * sizeof(uint16_t), tile = kTileRows * inner;
  zero_tile<0>();
  zero_tile<1>();
  zero_tile<2>();
  zero_tile<3>();
  int64_t k = 0;
  for (; k + kTileInner <= inner; k += kTileInner) {
    for (int i = 0; i < 4; i++) prefetch_tile(from + i * tile + k, inner);
    load_tile<7>(x + k * rows, x_bytes);
    load_tile<4>(from + k, bytes);
    multiply_tiles<0, 4, 7>();
    load_tile<5>(from + tile + k, bytes);
    multiply_tiles<1, 5, 7>();
    load_tile<6>(from + 2 * tile + k, bytes);
    multiply_tiles<2, 6, 7>();
    load_tile<4>(from + 3 * tile + k, bytes);
    multiply_tiles<3, 4, 7>();
  }
  if (k < inner) {
    uint16_t padded[kTileRows][kTileInner];
    constexpr int64_t padded_bytes = sizeof padded[0];
    load_tile<7>(x + k * rows, x_bytes);
    load_tile<4>(last_of(from, inner, kTileRows, padded), padded_bytes);
    multiply_tiles<0, 4, 7>();
    load_tile<4>(last_of(from + tile, inner, kTileRows, padded), padded_bytes);
    multiply_tiles<1, 4, 7>();
    load_tile<4>(last_of(from + 2 * tile, inner, kTileRows, padded), padded_bytes);
    multiply_tiles<2, 4, 7>();
    load_tile<4>(last_of(from + 3 * tile, inner, kTileRows, padded), padded_bytes);
    multiply_tiles<3, 4, 7>();
  }
  float sums[kTileRows][kTileRows];
  constexpr int64_t sums_bytes = sizeof sums[0];
  store_tile<0>(sums, sums_bytes);
  put(sums, part, column, kTileRows);
  store_tile<1>(sums, sums_bytes);
  put(sums, part, column + kTileRows, kTileRows);
  store_tile<2>(sums, sums_bytes);
  put(sums, part, column + 2 * kTileRows, kTileRows);
  store_tile<3>(sums, sums_bytes);
  put(sums, part, column + 3 * kTileRows, kTileRows);
}

// 16 columns or fewer, for which the tiles have been shaped.
void one_tile(const AmxPart &part, int64_t column, int64_t columns) {
  const auto [w, x, out, stride, rows, inner] = part;
  const uint16_t *from = w + column * inner;
  const int64_t x_bytes = rows * 2 * sizeof(uint16_t);
  zero_tile<0>();
  int64_t k = 0;
  for (; k + kTileInner <= inner; k += kTileInner) {
    load_tile<7>(x + k * rows, x_bytes);
    load_tile<4>(from + k, inner * sizeof(uint16_t));
    multiply_tiles<0, 4, 7>();
  }
  if (k < inner) {
    uint16_t padded[kTileRows][kTileInner];
    load_tile<7>(x + k * rows, x_bytes);
    load_tile<4>(last_of(from, inner, columns, padded), sizeof padded[0]);
    multiply_tiles<0, 4, 7>();
  }
  float sums[kTileRows][kTileRows];
  store_tile<0>(sums, sizeof sums[0]);
  put(sums, part, column, columns);
}

// The sum of each element of the result is taken in the order of the inner axis, whatever is computed beside it.
void amx_multiply(const RowProduct &product) {
  for (int64_t row = 0; row < product.rows; row += kTileRows) {
    const int64_t rows = std::min(kTileRows, product.rows - row);
    const AmxPart part = {static_cast<const uint16_t *>(product.w),
                          static_cast<const uint16_t *>(product.x) + amx_rounded_size(row, product.inner),
                          product.out + row * product.out_row_stride,
                          product.out_row_stride,
                          rows,
                          product.inner};
    int64_t column = 0;
    {
      const Tiles tiles = shaped(kTileRows, rows);
      for (; column + 4 * kTileRows <= product.columns; column += 4 * kTileRows) four_tiles(part, column);
      for (; column + kTileRows <= product.columns; column += kTileRows) one_tile(part, column, kTileRows);
    }
    if (column == product.columns) continue;
    const Tiles tiles = shaped(product.columns - column, rows);
    one_tile(part, column, product.columns - column);
  }
}

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
