// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/row-products.h"

#include <algorithm>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif
#if defined(__AMX_BF16__)
#include "per-instruction-set/amx-row-products.h"
#endif

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Floats in one register. Memory need not be aligned to it.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Floats __attribute__((vector_size(kLanes * sizeof(float))));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t))));
typedef uint16_t Halves __attribute__((vector_size(kLanes * sizeof(uint16_t))));

inline Floats read(const float *x) {
  Floats floats;
  std::memcpy(&floats, x, sizeof floats);
  return floats;
}
inline Floats read(const uint16_t *x) {
  Halves halves;
  std::memcpy(&halves, x, sizeof halves);
  return reinterpret_cast<Floats>(__builtin_convertvector(halves, Words) << 16);
}

// The first `count` elements, followed by zeros.
template <class Element>
inline Floats read_first(const Element *x, int64_t count) {
  Element whole[kLanes] = {};
  std::memcpy(whole, x, count * sizeof(Element));
  return read(whole);
}

// Adds neighbouring halves until one number is left.
inline float sum_of(Floats floats) {
#if defined(__AVX512F__)
  // In registers. The mask takes all lanes: without one, GCC warns of an undefined register in its own header.
  constexpr __mmask16 all = 0xffff;
  __m512 lanes = (__m512)floats;
  lanes += _mm512_maskz_shuffle_f32x4(all, lanes, lanes, 0x4e);
  lanes += _mm512_maskz_shuffle_f32x4(all, lanes, lanes, 0xb1);
  lanes += _mm512_maskz_permute_ps(all, lanes, 0x4e);
  lanes += _mm512_maskz_permute_ps(all, lanes, 0xb1);
  return _mm512_cvtss_f32(lanes);
#else
  float lanes[kLanes];
  std::memcpy(lanes, &floats, sizeof floats);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
#endif
}

// How far ahead memory is asked for, into the second-level cache. The processor alone stops at the end of each page.
constexpr int64_t kAheadBytes = 8192, kLineBytes = 64;
template <class Element>
inline void prefetch(const Element *w) {
  __builtin_prefetch(reinterpret_cast<const char *>(w) + kAheadBytes, 0, 2);
}

// One sum for each row and column stays in a register over the whole inner axis.
template <class Element, int rows, int columns>
void block(const float *x, const Element *w, float *out, int64_t out_row_stride, int64_t inner) {
  Floats sum[rows][columns] = {};
  int64_t k = 0;
  for (; k + kLanes <= inner; k += kLanes) {
    Floats from_w[columns];
    for (int j = 0; j < columns; j++) {
      if (k * static_cast<int64_t>(sizeof(Element)) % kLineBytes == 0) prefetch(w + j * inner + k);
      from_w[j] = read(w + j * inner + k);
    }
    for (int i = 0; i < rows; i++) {
      const Floats from_x = read(x + i * inner + k);
      for (int j = 0; j < columns; j++) sum[i][j] += from_x * from_w[j];
    }
  }
  if (k < inner)
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < columns; j++) sum[i][j] += read_first(x + i * inner + k, inner - k) * read_first(w + j * inner + k, inner - k);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) out[i * out_row_stride + j] = sum_of(sum[i][j]);
}

// As many columns at once as the sums leave registers for.
#if defined(__AVX512F__)
constexpr int kSums = 16;
#else
constexpr int kSums = 8;
#endif
constexpr int columns_for(int rows) { return rows >= kSums ? 1 : std::min(kSums / rows, 4); }

template <class Element, int rows>
void all_columns(const RowProduct &product, int64_t row) {
  constexpr int columns = columns_for(rows);
  const Element *w = static_cast<const Element *>(product.w);
  const float *x = static_cast<const float *>(product.x) + row * product.inner;
  float *out = product.out + row * product.out_row_stride;
  int64_t column = 0;
  for (; column + columns <= product.columns; column += columns)
    block<Element, rows, columns>(x, w + column * product.inner, out + column, product.out_row_stride, product.inner);
  for (; column < product.columns; column++)
    block<Element, rows, 1>(x, w + column * product.inner, out + column, product.out_row_stride, product.inner);
}

// The rows that are left, fewer than `limit`.
template <class Element, int limit>
void last_rows(const RowProduct &product, int64_t row) {
  if constexpr (limit > 1) {
    if (product.rows - row == limit - 1)
      all_columns<Element, limit - 1>(product, row);
    else
      last_rows<Element, limit - 1>(product, row);
  }
}

template <class Element>
void multiply(const RowProduct &product) {
  constexpr int rows = 8;
  int64_t row = 0;
  for (; row + rows <= product.rows; row += rows) all_columns<Element, rows>(product, row);
  last_rows<Element, rows>(product, row);
}

}  // namespace

#if defined(__AMX_BF16__)
extern const RowProducts row_products = {multiply<float>, multiply<uint16_t>, {amx_rounded_size, amx_round, amx_multiply}};
#else
extern const RowProducts row_products = {multiply<float>, multiply<uint16_t>, {nullptr, nullptr, nullptr}};
#endif

}  // namespace graft::GRAFT_INSTRUCTIONS
