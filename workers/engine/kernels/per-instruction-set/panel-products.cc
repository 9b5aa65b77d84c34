// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/panel-products.h"

#include <algorithm>

#include "per-instruction-set/squares.h"
#if defined(__AMX_BF16__)
#include "per-instruction-set/amx-panel-products.h"
#endif

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// As many sums as the registers leave room for beside a row of the panel.
#if defined(__AVX512F__)
constexpr int kWidest = 4;
#else
constexpr int kWidest = 3;
#endif
constexpr int kRows = 4;
constexpr int64_t kPanelColumns = 64;

// One block of the sums, which stays in registers over the whole inner axis.
template <class Format, int vectors>
inline void block(const typename Format::Word *left, const typename Format::Word *panel, float *sums, bool adds, int64_t inner) {
  Floats sum[kRows][vectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows * vectors; i++) sum[i / vectors][i % vectors] = Floats{};
  for (int64_t j = 0; j < inner; j++, left += kRows, panel += kPanelColumns) {
    Floats right[vectors];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) right[v] = load<Floats>(panel + v * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < kRows; i++) {
      const auto word = broadcast(left + i);
#pragma GCC unroll 4
      for (int v = 0; v < vectors; v++) sum[i][v] = Format::multiply_add(sum[i][v], word, right[v]);
    }
  }
  if (adds) {
#pragma GCC unroll 16
    for (int i = 0; i < kRows * vectors; i++)
      sum[i / vectors][i % vectors] += load<Floats>(sums + i / vectors * kPanelColumns + i % vectors * kLanes);
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows * vectors; i++)
    std::memcpy(sums + i / vectors * kPanelColumns + i % vectors * kLanes, &sum[i / vectors][i % vectors], sizeof(Floats));
}

template <class Format, int vectors>
void multiply_columns(const PanelProduct &product, int64_t column) {
  using Word = typename Format::Word;
  const Word *left = static_cast<const Word *>(product.left), *panel = static_cast<const Word *>(product.panel) + column;
  for (int64_t row = 0; row < product.rows; row += kRows, left += product.left_block_stride)
    block<Format, vectors>(left, panel, product.sums + row * kPanelColumns + column, product.adds, product.inner);
}

template <class Format>
void multiply(const PanelProduct &product) {
  const int64_t vectors = (product.columns + kLanes - 1) / kLanes;
  int64_t done = 0;
  for (; done + kWidest <= vectors; done += kWidest) multiply_columns<Format, kWidest>(product, done * kLanes);
  if constexpr (kWidest > 3)
    if (vectors - done == 3) multiply_columns<Format, 3>(product, done * kLanes);
  if (vectors - done == 2) multiply_columns<Format, 2>(product, done * kLanes);
  if (vectors - done == 1) multiply_columns<Format, 1>(product, done * kLanes);
}

void pack_block(const uint32_t *const (&rows)[kRows], int64_t words, uint32_t *out) {
  static_assert(kRows == 4);
  int64_t word = 0;
  for (; word + kLanes <= words; word += kLanes, out += kRows * kLanes) {
    const auto of = [&](int row) { return load<Words>(rows[row] + word); };
    const Words a = of(0), b = of(1), c = of(2), d = of(3);
    const Words ac[] = {interleaved<false>(a, c), interleaved<true>(a, c)}, bd[] = {interleaved<false>(b, d), interleaved<true>(b, d)};
    const Words packed[] = {interleaved<false>(ac[0], bd[0]), interleaved<true>(ac[0], bd[0]), interleaved<false>(ac[1], bd[1]),
                            interleaved<true>(ac[1], bd[1])};
    std::memcpy(out, packed, sizeof packed);
  }
  for (; word < words; word++)
    for (int i = 0; i < kRows; i++) *out++ = rows[i][word];
}

// In each block one word of every row, then the next word of every row.
template <class Element>
void pack(const void *elements, int64_t stride, int64_t rows, int64_t words, uint32_t *out) {
  const auto *x = static_cast<const uint32_t *>(elements);
  stride = stride * static_cast<int64_t>(sizeof(Element)) / static_cast<int64_t>(sizeof(uint32_t));
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows, out += kRows * words) {
    const uint32_t *from = x + row * stride;
    pack_block({from, from + stride, from + 2 * stride, from + 3 * stride}, words, out);
  }
  if (row == rows) return;
  for (int64_t word = 0; word < words; word++)
    for (int i = 0; i < kRows; i++) *out++ = row + i < rows ? x[(row + i) * stride + word] : 0;
}

void pack_columns(const uint32_t *x, int64_t stride, int64_t words, int64_t rows, uint32_t *out) {
  for (int64_t block = 0; block < rows; block += kRows)
    for (int64_t i = 0; i < words; i++, out += kRows) {
      const uint32_t *from = x + i * stride + block;
      const int64_t count = std::min<int64_t>(kRows, rows - block);
      std::copy(from, from + count, out);
      std::fill(out + count, out + kRows, 0);
    }
}

inline void write(Words words, uint32_t *out) { std::memcpy(out, &words, sizeof words); }

template <bool widens>
void transpose_words(const void *rows, int64_t stride, int64_t words, int64_t columns, uint32_t *out) {
  constexpr int rows_of_word = widens ? 2 : 1;
  for (int64_t word = 0; word < words; word += kLanes)
    for (int64_t row = 0; row < columns; row += kLanes) {
      Words square[kLanes];
      const char *from = static_cast<const char *>(rows) + row * stride + word * static_cast<int64_t>(sizeof(uint32_t));
      for (int i = 0; i < kLanes; i++) {
        square[i] = load<Words>(from + i * stride);
        if constexpr (widens) __builtin_prefetch(from + i * stride + words * static_cast<int64_t>(sizeof(uint32_t)), 0, 2);
      }
      transpose(square);
      for (int i = 0; i < kLanes; i++) {
        uint32_t *to = out + (word + i) * rows_of_word * columns + row;
        write(widens ? square[i] << 16 : square[i], to);
        if constexpr (widens) write(square[i] & 0xffff0000u, to + columns);
      }
    }
}

// Brings a row of a later panel into the second-level cache.
inline void prefetch_row(const uint16_t *elements, int64_t columns) {
  constexpr int64_t line_elements = 32;
  for (int64_t i = 0; i < columns; i += line_elements) __builtin_prefetch(elements + i, 0, 2);
}

void widen_rows(const uint16_t *elements, int64_t stride, int64_t rows, int64_t columns, int64_t out_stride, float *out) {
  for (int64_t row = 0; row < rows; row++, elements += stride, out += out_stride) {
    prefetch_row(elements + rows * stride, columns);
    for (int64_t i = 0; i < columns; i++) {
      const uint32_t bits = static_cast<uint32_t>(elements[i]) << 16;
      std::memcpy(out + i, &bits, sizeof bits);
    }
  }
}

constexpr PanelFormat kF32 = {kPanelColumns, kRows, 1, multiply<F32>, pack<float>, pack_columns};

}  // namespace

#if defined(__AMX_BF16__)
extern const PanelProducts panel_products = {kF32, kAmxBf16, kAmxParts, transpose_words<false>, transpose_words<true>, widen_rows};
#else
extern const PanelProducts panel_products = {
    kF32, {kPanelColumns, kRows, 1, multiply<Bf16>, pack<uint16_t>, pack_columns}, {}, transpose_words<false>, transpose_words<true>, widen_rows};
#endif

}  // namespace graft::GRAFT_INSTRUCTIONS
