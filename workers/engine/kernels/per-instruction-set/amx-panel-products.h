// Products of bf16 with a panel on the processor's matrix unit (AMX). Included where the instruction set has it.
//
// A block of the packed operand is a row of tiles, 16 rows of 16 words each; of several parts, the tiles of the first 16 words of each part, then
// those of the next. The last tiles have as many words as there are.
#pragma once

#include <algorithm>
#include <cstring>

#include "amx-tiles.h"
#include "blocks.h"
#include "panel-products.h"
#include "squares.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Tiles of sums side by side. There are two rows of them, so that one is written while the other is computed. Then come a tile of the left operand
// and one of the panel.
constexpr int kTilesAcross = 3, kOfLeft = 2 * kTilesAcross, kOfPanel = kOfLeft + 1;
constexpr int64_t kTiledColumns = kTilesAcross * kTileColumns, kRowBytes = kTiledColumns * 4;

// Brings memory into the second-level cache, a few lines at a time, as fast as the processor can take them while it multiplies.
class Prefetch {
 public:
  explicit Prefetch(const Ahead &ahead) : ahead_(ahead) {}
  void some() {
    constexpr int lines = 4;
    for (int i = 0; i < lines && row_ < ahead_.rows; i++) {
      __builtin_prefetch(ahead_.memory + row_ * ahead_.stride + byte_, 0, 2);
      byte_ += kTileBytes;
      if (byte_ < ahead_.bytes) continue;
      byte_ = 0;
      row_++;
    }
  }

 private:
  const Ahead ahead_;
  int64_t row_ = 0, byte_ = 0;
};

// Part of a product, of as many words as tiles of its operands have, or several times as many.
struct TiledProduct {
  const uint32_t *panel;
  int64_t words, tile_words, parts;
  bool adds;
  Prefetch *prefetch;
};

// Adds to the sums in the tiles that begin with number `sums`.
// @param left the tiles of 16 rows
template <int sums>
inline void multiply_words(const TiledProduct &product, const uint32_t *left, int64_t begin, int64_t end) {
  for (int64_t word = begin; word < end; word += kTileWords) {
    product.prefetch->some();
    for (int64_t part = 0; part < product.parts; part++) {
      load_tile<kOfLeft>(left + (word * product.parts + part * product.tile_words) * kTileRows, product.tile_words * 4);
      unrolled<kTilesAcross>([&](auto tile) {
        constexpr int number = decltype(tile)::value;
        load_tile<kOfPanel>(product.panel + word * kTiledColumns + number * kTileColumns, kRowBytes);
        multiply_tiles<sums + number, kOfLeft, kOfPanel>();
      });
    }
  }
}

template <int sums>
inline void open_sums(const float *from, bool adds) {
  unrolled<kTilesAcross>([&](auto tile) {
    constexpr int number = decltype(tile)::value;
    if (adds)
      load_tile<sums + number>(from + number * kTileColumns, kRowBytes);
    else
      zero_tile<sums + number>();
  });
}

template <int sums>
inline void close_sums(float *to) {
  unrolled<kTilesAcross>([&](auto tile) { store_tile<sums + decltype(tile)::value>(to + decltype(tile)::value * kTileColumns, kRowBytes); });
}

// 16 rows. Meanwhile, the sums of the rows before them are written, and those of the next rows are read: a processor waits for neither.
template <int sums>
inline void multiply_rows_of_tiles(const TiledProduct &product, const uint32_t *left, float *to, bool is_first, bool is_last) {
  constexpr int other = kTilesAcross - sums, block = kTileRows * kTiledColumns;
  const int64_t written = product.words / 4 / kTileWords * kTileWords, read = product.words / 2 / kTileWords * kTileWords;
  multiply_words<sums>(product, left, 0, written);
  if (!is_first) close_sums<other>(to - block);
  multiply_words<sums>(product, left, written, read);
  if (!is_last) open_sums<other>(to + block, product.adds);
  multiply_words<sums>(product, left, read, product.words);
}

void multiply_inner(const TiledProduct &product, const uint32_t *left, int64_t left_stride, float *sums, int64_t blocks) {
  const Tiles tiles([&](int tile) {
    if (tile == kOfPanel) return std::pair<int64_t, int64_t>(product.tile_words, kTileBytes);
    return std::pair<int64_t, int64_t>(kTileRows, tile == kOfLeft ? product.tile_words * 4 : kTileBytes);
  });
  open_sums<0>(sums, product.adds);
  for (int64_t block = 0; block < blocks; block++, left += left_stride, sums += kTileRows * kTiledColumns) {
    const bool is_first = block == 0, is_last = block == blocks - 1;
    if (block % 2 == 0)
      multiply_rows_of_tiles<0>(product, left, sums, is_first, is_last);
    else
      multiply_rows_of_tiles<kTilesAcross>(product, left, sums, is_first, is_last);
  }
  sums -= kTileRows * kTiledColumns;
  if (blocks % 2 == 1)
    close_sums<0>(sums);
  else
    close_sums<kTilesAcross>(sums);
}

template <int parts>
void multiply_tiled(const PanelProduct &product) {
  const int64_t last = product.inner % kTileWords, whole = product.inner - last, blocks = blocks_of(product.rows, kTileRows);
  const auto *left = static_cast<const uint32_t *>(product.left), *panel = static_cast<const uint32_t *>(product.panel);
  if (blocks == 0) return;
  Prefetch prefetch(product.ahead);
  if (whole > 0) multiply_inner({panel, whole, kTileWords, parts, product.adds, &prefetch}, left, product.left_block_stride, product.sums, blocks);
  if (last == 0) return;
  multiply_inner({panel + whole * kTiledColumns, last, last, parts, product.adds || whole > 0, &prefetch}, left + whole * kTileRows * parts,
                 product.left_block_stride, product.sums, blocks);
}

// Calls `write` with each tile's first word, how many it has, and its place.
template <class Write>
inline void for_tiles_of(int64_t inner, int64_t parts, uint32_t *out, const Write &write) {
  const int64_t last = inner % kTileWords, whole = inner - last;
  for (int64_t word = 0; word < whole; word += kTileWords) write(word, std::integral_constant<int64_t, kTileWords>{}, out + word * kTileRows * parts);
  if (last > 0) write(whole, last, out + whole * kTileRows * parts);
}

void pack_tiles(const void *elements, int64_t stride, int64_t rows, int64_t inner, uint32_t *out) {
  const auto *x = static_cast<const uint16_t *>(elements);
  for (int64_t first = 0; first < rows; first += kTileRows, out += kTileRows * inner)
    for_tiles_of(inner, 1, out, [&](int64_t word, auto words, uint32_t *tile) {
      const int64_t count = std::min(kTileRows, rows - first);
      for (int64_t i = 0; i < count; i++) std::memcpy(tile + i * words, x + (first + i) * stride + 2 * word, words * sizeof(uint32_t));
      std::memset(tile + count * words, 0, (kTileRows - count) * words * sizeof(uint32_t));
    });
}

void pack_columns_of_tiles(const uint32_t *x, int64_t stride, int64_t inner, int64_t rows, uint32_t *out) {
  for (int64_t first = 0; first < rows; first += kTileRows, out += kTileRows * inner)
    for_tiles_of(inner, 1, out, [&](int64_t word, auto words, uint32_t *tile) {
      Words square[kLanes];
      read_transposed(x + word * stride + first, stride, words, rows - first, square);
      for (int i = 0; i < kTileRows; i++) std::memcpy(tile + i * words, &square[i], words * sizeof(uint32_t));
    });
}

// Rounds 32 elements to words, and leaves what the rounding took.
inline __m512i round_words(Floats *lower, Floats *upper) {
  const __m512bh words = _mm512_cvtne2ps_pbh((__m512)*upper, (__m512)*lower);
  uint16_t rounded[2 * kLanes];
  std::memcpy(rounded, &words, sizeof rounded);
  *lower -= read(rounded);
  *upper -= read(rounded + kLanes);
  return (__m512i)words;
}

constexpr int kParts = 3;

// x is f32. Each element becomes its bf16, that of the rest, and that of what then remains, which is exact: f32 has 24 bits, bf16 eight. The smallest
// comes first, because it is added first. Of infinity, the rest is NaN, and so are all sums with it.
void pack_parts(const void *elements, int64_t stride, int64_t rows, int64_t inner, uint32_t *out) {
  const auto *x = static_cast<const float *>(elements);
  for (int64_t first = 0; first < rows; first += kTileRows, out += kTileRows * inner * kParts)
    for_tiles_of(inner, kParts, out, [&](int64_t word, auto words, uint32_t *tile) {
      for (int64_t i = 0; i < kTileRows; i++) {
        Floats halves[2] = {};
        if (first + i < rows) std::memcpy(halves, x + (first + i) * stride + 2 * word, words * 2 * sizeof(float));
        for (int part = kParts - 1; part >= 0; part--) {
          const __m512i rounded = round_words(&halves[0], &halves[1]);
          std::memcpy(tile + (part * kTileRows + i) * words, &rounded, words * sizeof(uint32_t));
        }
      }
    });
}

constexpr PanelFormat kAmxBf16 = {kTiledColumns, kTileRows, 1, multiply_tiled<1>, pack_tiles, pack_columns_of_tiles};
constexpr PanelFormat kAmxParts = {kTiledColumns, kTileRows, kParts, multiply_tiled<kParts>, pack_parts, nullptr};

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
