// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/row-products.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "per-instruction-set/word-formats.h"
#if defined(__AMX_BF16__)
#include "per-instruction-set/amx-row-products.h"
#endif

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// The first `count` elements, followed by zeros.
template <class Element>
inline Floats read_first(const Element *x, int64_t count) {
  Element whole[kLanes] = {};
  std::memcpy(whole, x, count * sizeof(Element));
  return read(whole);
}

#if defined(__AVX512F__)
// Adds the halves of two registers, those of a in the lower half of the result. The masks of these take all lanes: without one, GCC warns of an
// undefined register in its own header.
constexpr __mmask16 kAll = 0xffff;
inline __m512 halves(__m512 a, __m512 b) { return _mm512_maskz_shuffle_f32x4(kAll, a, b, 0x44) + _mm512_maskz_shuffle_f32x4(kAll, a, b, 0xee); }
inline __m512 quarters(__m512 a, __m512 b) { return _mm512_maskz_shuffle_f32x4(kAll, a, b, 0x88) + _mm512_maskz_shuffle_f32x4(kAll, a, b, 0xdd); }
inline __m512 pairs(__m512 a, __m512 b) { return _mm512_maskz_shuffle_ps(kAll, a, b, 0x44) + _mm512_maskz_shuffle_ps(kAll, a, b, 0xee); }
inline __m512 lanes(__m512 a, __m512 b) { return _mm512_maskz_shuffle_ps(kAll, a, b, 0x88) + _mm512_maskz_shuffle_ps(kAll, a, b, 0xdd); }

// The sum of the lanes of each register, of which there may be fewer than 16: neighbouring halves are added until one number is left.
template <int count>
inline void sums_of(const Floats *registers, float *sums) {
  __m512 fours[4];
  for (int i = 0; i < 4; i++) {
    const auto at = [&](int index) { return index < count ? (__m512)registers[index] : _mm512_setzero_ps(); };
    fours[i] = quarters(halves(at(i), at(4 + i)), halves(at(8 + i), at(12 + i)));
  }
  _mm512_storeu_ps(sums, lanes(pairs(fours[0], fours[1]), pairs(fours[2], fours[3])));
}
#else
template <int count>
inline void sums_of(const Floats *registers, float *sums) {
  for (int i = 0; i < count; i++) {
    float lanes[kLanes];
    std::memcpy(lanes, &registers[i], sizeof lanes);
    for (int width = kLanes / 2; width > 0; width /= 2)
      for (int j = 0; j < width; j++) lanes[j] += lanes[j + width];
    sums[i] = lanes[0];
  }
}
#endif

// How far ahead memory is asked for, into the second-level cache. The processor alone stops at the end of each page.
constexpr int64_t kAheadBytes = 8192, kLineBytes = 64;
template <class Element>
inline void prefetch(const Element *w) {
  __builtin_prefetch(reinterpret_cast<const char *>(w) + kAheadBytes, 0, 2);
}

// Registers whose lanes are added together.
constexpr int kAdded = 16;

// One sum for each row and column stays in a register over the whole inner axis.
template <class Element, int rows, int columns>
inline void block(const float *x, const Element *w, float *out, int64_t out_row_stride, int64_t inner) {
  constexpr int count = rows * columns;
  Floats sums[count] = {};
  int64_t k = 0;
  for (; k + kLanes <= inner; k += kLanes) {
    Floats from_w[columns];
#pragma GCC unroll 4
    for (int j = 0; j < columns; j++) {
      if (k * static_cast<int64_t>(sizeof(Element)) % kLineBytes == 0) prefetch(w + j * inner + k);
      from_w[j] = read(w + j * inner + k);
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows; i++) {
      const Floats from_x = read(x + i * inner + k);
#pragma GCC unroll 4
      for (int j = 0; j < columns; j++) sums[i * columns + j] += from_x * from_w[j];
    }
  }
  if (k < inner)
    for (int i = 0; i < rows; i++)
      for (int j = 0; j < columns; j++) sums[i * columns + j] += read_first(x + i * inner + k, inner - k) * read_first(w + j * inner + k, inner - k);
  float values[(count + kAdded - 1) / kAdded * kAdded];
  constexpr int whole = count / kAdded * kAdded;
  for (int i = 0; i < whole; i += kAdded) sums_of<kAdded>(sums + i, values + i);
  if constexpr (whole < count) sums_of<count - whole>(sums + whole, values + whole);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) out[i * out_row_stride + j] = values[i * columns + j];
}

// As many columns at once as the sums leave registers for.
#if defined(__AVX512F__)
constexpr int kSums = 24;
#else
constexpr int kSums = 12;
#endif
constexpr int columns_for(int rows) { return std::min(kSums / rows, 4); }

// x and w are the product's, or a part of them with its place in the result.
template <class Element, int rows>
void all_columns(const float *x, const Element *w, float *out, int64_t columns, const RowProduct &product) {
  constexpr int at_once = columns_for(rows);
  int64_t column = 0;
  for (; column + at_once <= columns; column += at_once)
    block<Element, rows, at_once>(x, w + column * product.inner, out + column, product.out_row_stride, product.inner);
  for (; column < columns; column++) block<Element, rows, 1>(x, w + column * product.inner, out + column, product.out_row_stride, product.inner);
}

// The most rows that are computed together.
constexpr int kFewRows = 8;
// Of more rows, so many are computed together: most sums fit the registers with 6, but an element in bf16 is converted once for every block of rows.
template <class Element>
constexpr int kRowBlock = sizeof(Element) == sizeof(float) ? 6 : kFewRows;
// So many rows pay for converting a matrix to f32 beforehand.
constexpr int64_t kConvertingRows = 48;

// `rows` is `limit` or fewer.
template <class Element, int limit>
void few_rows(const float *x, const Element *w, float *out, int64_t rows, int64_t columns, const RowProduct &product) {
  if constexpr (limit > 0) {
    if (rows == limit)
      all_columns<Element, limit>(x, w, out, columns, product);
    else
      few_rows<Element, limit - 1>(x, w, out, rows, columns, product);
  }
}

inline void to_floats(const uint16_t *w, int64_t count, float *floats) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    prefetch(w + i);
    const Floats converted = read(w + i);
    std::memcpy(floats + i, &converted, sizeof converted);
  }
  for (; i < count; i++) {
    const uint32_t bits = static_cast<uint32_t>(w[i]) << 16;
    std::memcpy(floats + i, &bits, sizeof bits);
  }
}

template <class Element>
void rows_in_blocks(const float *x, const Element *w, float *out, int64_t columns, const RowProduct &product) {
  constexpr int at_once = kRowBlock<Element>;
  int64_t row = 0;
  for (; row + at_once <= product.rows; row += at_once)
    all_columns<Element, at_once>(x + row * product.inner, w, out + row * product.out_row_stride, columns, product);
  few_rows<Element, at_once - 1>(x + row * product.inner, w, out + row * product.out_row_stride, product.rows - row, columns, product);
}

// Columns of many rows' products that are computed together: their part of the matrix stays in the second-level cache.
constexpr int64_t kGroupBytes = 256 << 10;

template <class Element>
void multiply(const RowProduct &product) {
  const float *x = static_cast<const float *>(product.x);
  const Element *w = static_cast<const Element *>(product.w);
  if (product.rows <= kFewRows) return few_rows<Element, kFewRows>(x, w, product.out, product.rows, product.columns, product);
  static thread_local std::vector<float> floats;
  const int64_t group = std::max<int64_t>(kGroupBytes / sizeof(float) / std::max<int64_t>(product.inner, 1), 1);
  for (int64_t column = 0; column < product.columns; column += group) {
    const Element *part = w + column * product.inner;
    const int64_t count = std::min(group, product.columns - column);
    if constexpr (!std::is_same_v<Element, float>) {
      if (product.rows >= kConvertingRows) {
        floats.resize(count * product.inner);
        to_floats(part, count * product.inner, floats.data());
        rows_in_blocks(x, floats.data(), product.out + column, count, product);
        continue;
      }
    }
    rows_in_blocks(x, part, product.out + column, count, product);
  }
}

}  // namespace

#if defined(__AMX_BF16__)
extern const RowProducts row_products = {multiply<float>, multiply<uint16_t>, {amx_rounded_size, amx_round, amx_multiply}};
#else
extern const RowProducts row_products = {multiply<float>, multiply<uint16_t>, {nullptr, nullptr, nullptr}};
#endif

}  // namespace graft::GRAFT_INSTRUCTIONS
