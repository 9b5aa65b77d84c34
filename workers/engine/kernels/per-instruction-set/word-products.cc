// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/word-products.h"

#include "bfloat16.h"
#include "per-instruction-set/word-formats.h"
#if defined(__AMX_BF16__)
#include "per-instruction-set/amx-word-products.h"
#endif

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

static_assert(kColumnBlock % kLanes == 0);

// One block of the result. Its sums stay in registers over the whole inner axis.
template <class Format, class Element, int rows, int vectors>
inline void block(const WordProduct &product, int64_t row, int64_t column) {
  using Word = typename Format::Word;
  const Word *left = static_cast<const Word *>(product.left) + row * product.left_row_stride;
  const Word *right = static_cast<const Word *>(product.right) + column;
  const int64_t offset = row * product.out_row_stride + column;
  Floats sum[rows][vectors] = {};
  if (product.addend != nullptr)
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++)
        sum[i][v] = read(static_cast<const Element *>(product.addend) + offset + i * product.out_row_stride + v * kLanes);
  for (int64_t j = 0; j < product.inner; j++) {
    Floats right_row[vectors];
    for (int v = 0; v < vectors; v++) right_row[v] = load<Floats>(right + j * product.right_row_stride + v * kLanes);
    for (int i = 0; i < rows; i++) {
      const auto word = broadcast(left + i * product.left_row_stride + j * product.left_inner_stride);
      for (int v = 0; v < vectors; v++) sum[i][v] = Format::multiply_add(sum[i][v], word, right_row[v]);
    }
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) write(sum[i][v], static_cast<Element *>(product.out) + offset + i * product.out_row_stride + v * kLanes);
}

// The last columns, too few for a register: they are computed in a whole one and then copied.
template <class Format, class Element>
void last_columns(const WordProduct &product, int64_t column) {
  const int64_t count = product.columns - column;
  for (int64_t row = 0; row < product.rows; row++) {
    Element whole[kLanes] = {};
    WordProduct one_row = product;
    one_row.left = static_cast<const typename Format::Word *>(product.left) + row * product.left_row_stride;
    one_row.right = static_cast<const typename Format::Word *>(product.right) + column;
    one_row.out = whole;
    const int64_t offset = row * product.out_row_stride + column;
    if (product.addend != nullptr) {
      std::memcpy(whole, static_cast<const Element *>(product.addend) + offset, count * sizeof(Element));
      one_row.addend = whole;
    }
    block<Format, Element, 1, 1>(one_row, 0, 0);
    std::memcpy(static_cast<Element *>(product.out) + offset, whole, count * sizeof(Element));
  }
}

// A block has as many sums as fit the registers: the fewer vectors wide it is, the more rows it has.
#if defined(__AVX512F__)
constexpr int kWidest = 4, kRowsFor[] = {0, 16, 8, 8, 4};
#else
constexpr int kWidest = 2, kRowsFor[] = {0, 12, 6};
#endif

// Row by row, which is the order of memory. The last rows are computed in ever smaller blocks.
template <class Format, class Element, int rows, int vectors>
inline void multiply_rows(const WordProduct &product, int64_t row, int64_t begin, int64_t end) {
  for (; row + rows <= product.rows; row += rows)
    for (int64_t column = begin; column < end; column += vectors * kLanes) block<Format, Element, rows, vectors>(product, row, column);
  if constexpr (rows > 1) multiply_rows<Format, Element, rows / 2, vectors>(product, row, begin, end);
}

template <class Format, class Element, int vectors>
inline void multiply_columns(const WordProduct &product, int64_t begin, int64_t end) {
  multiply_rows<Format, Element, kRowsFor[vectors], vectors>(product, 0, begin, end);
}

template <class Format, class Element>
void multiply(const WordProduct &product) {
  const int64_t widest_end = product.columns / (kWidest * kLanes) * (kWidest * kLanes);
  multiply_columns<Format, Element, kWidest>(product, 0, widest_end);
  const int64_t vectors = (product.columns - widest_end) / kLanes, end = widest_end + vectors * kLanes;
  if constexpr (kWidest > 3)
    if (vectors == 3) multiply_columns<Format, Element, 3>(product, widest_end, end);
  if (vectors == 2) multiply_columns<Format, Element, 2>(product, widest_end, end);
  if (vectors == 1) multiply_columns<Format, Element, 1>(product, widest_end, end);
  if (end < product.columns) last_columns<Format, Element>(product, end);
}

void interleave_f32(const float *first, const float *second, uint32_t *out, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) out[i] = to_bfloat16(first[i]) | static_cast<uint32_t>(to_bfloat16(second[i])) << 16;
}

void interleave_bf16(const uint16_t *first, const uint16_t *second, uint32_t *out, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) out[i] = first[i] | static_cast<uint32_t>(second[i]) << 16;
}

}  // namespace

#if defined(__AMX_BF16__)
extern const WordProducts products = {multiply<F32, float>, amx_multiply<float>, amx_multiply<uint16_t>, interleave_f32, interleave_bf16};
#else
extern const WordProducts products = {multiply<F32, float>, multiply<Bf16, float>, multiply<Bf16, uint16_t>, interleave_f32, interleave_bf16};
#endif

}  // namespace graft::GRAFT_INSTRUCTIONS
