// Products of many rows with a panel of a matrix that stays in the first-level cache. Operands consist of words, as in word-products.h. Compiled once
// for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

// Memory from which the next panel will be made: `rows` of `bytes` that are `stride` bytes apart. None where `rows` is 0.
struct Ahead {
  const char *memory = nullptr;
  int64_t stride = 0, rows = 0, bytes = 0;
};

// sums [rows, columns of a panel] = left · panel, or what they were + left · panel
struct PanelProduct {
  // Packed by the format's functions.
  const void *left;
  // Words from one block of rows to the next.
  int64_t left_block_stride;
  // [inner, columns of a panel]
  const void *panel;
  // Of whole blocks of rows.
  float *sums;
  bool adds;
  // `inner` counts words. Columns after `columns`, rounded up to a register, are left as they are.
  int64_t rows, inner, columns;
  // May be brought into the second-level cache meanwhile.
  Ahead ahead = {};
};

// How panels are multiplied, and the left operand is packed for it.
struct PanelFormat {
  // Columns of a panel, whole registers of them.
  int64_t columns;
  // Rows that are packed and multiplied together, as a block; rows that are missing in the last one count as zeros.
  int64_t rows;
  // Words of the packed operand for each word of the panel.
  int64_t parts;
  void (*multiply)(const PanelProduct &);
  // Packs rows [rows, inner], where `inner` counts words of the panel: word w of a block begins at word rows·parts·w, where w is a multiple of 16.
  // @param stride in elements of x
  void (*pack)(const void *x, int64_t stride, int64_t rows, int64_t inner, uint32_t *out);
  // The same from [inner, rows]. Not of a format of several parts.
  void (*pack_columns)(const uint32_t *x, int64_t stride, int64_t inner, int64_t rows, uint32_t *out);
};

struct PanelProducts {
  // Named for the type of the left operand and that of the panel's elements.
  PanelFormat f32, bf16;
  // x is the sum of three bf16 elements, so its products with bf16 are those of f32. Without rows where there is no unit for it.
  PanelFormat f32_with_bf16;

  // [columns, words] becomes [words, columns], whole registers of both. @param stride bytes from one row to the next
  void (*transpose)(const void *rows, int64_t stride, int64_t words, int64_t columns, uint32_t *out);
  // The same of words of two bf16 elements, each of which becomes two rows of f32.
  void (*transpose_widened)(const void *rows, int64_t stride, int64_t words, int64_t columns, uint32_t *out);
  // Rows of bf16 elements become rows of f32. @param stride elements from one row to the next, and @param out_stride of those written
  void (*widen_rows)(const uint16_t *elements, int64_t stride, int64_t rows, int64_t columns, int64_t out_stride, float *out);
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
