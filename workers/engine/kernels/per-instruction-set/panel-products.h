// Products of many rows with a panel of a matrix that stays in the first-level cache. Operands consist of words, as in word-products.h. Compiled once
// for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

// Columns of a panel.
constexpr int64_t kPanelColumns = 64;
// Rows that are packed and multiplied together.
constexpr int64_t kPanelRows = 4;

// sums [rows, kPanelColumns] = left · panel, or what they were + left · panel
struct PanelProduct {
  // Packed: in each block of kPanelRows rows one word of every row, then the next word of every row.
  const void *left;
  // Words from one block to the next.
  int64_t left_block_stride;
  // [inner, kPanelColumns]
  const void *panel;
  // Of whole blocks of rows.
  float *sums;
  bool adds;
  // `inner` counts words. Columns after `columns`, rounded up to a register, are left as they are.
  int64_t rows, inner, columns;
};

struct PanelProducts {
  void (*f32)(const PanelProduct &);
  void (*bf16)(const PanelProduct &);

  // Packs rows [rows, words] that are `stride` words apart into whole blocks; rows that are missing count as zeros.
  void (*pack)(const uint32_t *x, int64_t stride, int64_t rows, int64_t words, uint32_t *out);
  // [kPanelColumns, words] becomes [words, kPanelColumns]. @param words a multiple of 16. @param stride bytes from one row to the next
  void (*transpose)(const void *rows, int64_t stride, int64_t words, uint32_t *out);
  // The same of words of two bf16 elements, each of which becomes two rows of f32.
  void (*transpose_widened)(const void *rows, int64_t stride, int64_t words, uint32_t *out);
  // Rows of at most kPanelColumns bf16 elements become rows of f32 that are kPanelColumns apart. @param stride elements from one row to the next
  void (*widen_rows)(const uint16_t *elements, int64_t stride, int64_t rows, int64_t columns, float *out);
};

// Those of the instruction set that runs.
const PanelProducts &panel_products();

namespace baseline {
extern const PanelProducts panel_products;
}
namespace avx2 {
extern const PanelProducts panel_products;
}
namespace avx512 {
extern const PanelProducts panel_products;
}
namespace avx512_bf16 {
extern const PanelProducts panel_products;
}
namespace amx {
extern const PanelProducts panel_products;
}

}  // namespace graft
