// Compiled once for each instruction set, whose namespace is GRAFT_INSTRUCTIONS.
#include "per-instruction-set/word-products.h"

#include <cstring>
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

#include "bfloat16.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Numbers of one register. Memory need not be aligned to it.
#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t))));
typedef uint16_t Halves __attribute__((vector_size(kLanes * sizeof(uint16_t))));
static_assert(kColumnBlock % kLanes == 0);

template <class Vector>
inline Vector at(const void *memory) {
  Vector vector;
  std::memcpy(&vector, memory, sizeof vector);
  return vector;
}

inline Lanes as_lanes(Words words) { return reinterpret_cast<Lanes>(words); }

struct F32 {
  using Word = float;
  static Lanes add(Lanes sum, Word left, Lanes right) { return sum + left * right; }
};

struct Bf16 {
  using Word = uint32_t;
  static Lanes add(Lanes sum, Word left, Lanes right) {
#if defined(__AVX512BF16__)
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(left), (__m512bh)right);
#else
    const Words words = reinterpret_cast<Words>(right);
    sum += of_bits(left << 16) * as_lanes(words << 16);
    return sum + of_bits(left & 0xffff0000u) * as_lanes(words & 0xffff0000u);
#endif
  }
};

inline Lanes read(const float *x) { return at<Lanes>(x); }
inline Lanes read(const uint16_t *x) { return as_lanes(__builtin_convertvector(at<Halves>(x), Words) << 16); }

inline void write(Lanes lanes, float *out) { std::memcpy(out, &lanes, sizeof lanes); }
inline void write(Lanes lanes, uint16_t *out) {
#if defined(__AVX512BF16__)
  const __m256bh halves = _mm512_cvtneps_pbh((__m512)lanes);
#else
  const Words bits = reinterpret_cast<Words>(lanes);
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Words no_number = static_cast<Words>(lanes != lanes);
  const Halves halves = __builtin_convertvector((rounded & ~no_number) | (no_number & 0x7fc0u), Halves);
#endif
  std::memcpy(out, &halves, sizeof halves);
}

// The sums of some rows and registers stay in registers from the first to the last of the inner axis.
template <class Kind, class Number, int rows, int vectors>
inline void block(const WordProduct &product, int64_t row, int64_t column) {
  using Word = typename Kind::Word;
  const Word *left = static_cast<const Word *>(product.left) + row * product.left_row;
  const Word *right = static_cast<const Word *>(product.right) + column;
  const int64_t place = row * product.out_row + column;
  Lanes sum[rows][vectors] = {};
  if (product.from != nullptr)
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++) sum[i][v] = read(static_cast<const Number *>(product.from) + place + i * product.out_row + v * kLanes);
  for (int64_t j = 0; j < product.inner; j++) {
    Lanes of_right[vectors];
    for (int v = 0; v < vectors; v++) of_right[v] = at<Lanes>(right + j * product.right_row + v * kLanes);
    for (int i = 0; i < rows; i++)
      for (int v = 0; v < vectors; v++) sum[i][v] = Kind::add(sum[i][v], left[i * product.left_row + j * product.left_inner], of_right[v]);
  }
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors; v++) write(sum[i][v], static_cast<Number *>(product.out) + place + i * product.out_row + v * kLanes);
}

// Columns that are no whole register, by way of one that is.
template <class Kind, class Number>
void last_columns(const WordProduct &product, int64_t column) {
  const int64_t count = product.columns - column;
  for (int64_t row = 0; row < product.rows; row++) {
    Number whole[kLanes] = {};
    WordProduct of_row = product;
    of_row.left = static_cast<const typename Kind::Word *>(product.left) + row * product.left_row;
    of_row.right = static_cast<const typename Kind::Word *>(product.right) + column;
    of_row.out = whole;
    const int64_t place = row * product.out_row + column;
    if (product.from != nullptr) {
      std::memcpy(whole, static_cast<const Number *>(product.from) + place, count * sizeof(Number));
      of_row.from = whole;
    }
    block<Kind, Number, 1, 1>(of_row, 0, 0);
    std::memcpy(static_cast<Number *>(product.out) + place, whole, count * sizeof(Number));
  }
}

// As many sums as there are registers for; fewer columns leave room for more rows.
#if defined(__AVX512F__)
constexpr int kWidest = 4, kRowsOf[] = {0, 16, 8, 8, 4};
#else
constexpr int kWidest = 2, kRowsOf[] = {0, 8, 4};
#endif

template <class Kind, class Number, int vectors>
inline void rows_of(const WordProduct &product, int64_t begin, int64_t end) {
  constexpr int rows = kRowsOf[vectors];
  int64_t row = 0;
  // Along the rows, since memory lies so.
  for (; row + rows <= product.rows; row += rows)
    for (int64_t column = begin; column < end; column += vectors * kLanes) block<Kind, Number, rows, vectors>(product, row, column);
  for (; row < product.rows; row++)
    for (int64_t column = begin; column < end; column += vectors * kLanes) block<Kind, Number, 1, vectors>(product, row, column);
}

template <class Kind, class Number>
void multiply(const WordProduct &product) {
  const int64_t of_widest = product.columns / (kWidest * kLanes) * (kWidest * kLanes);
  rows_of<Kind, Number, kWidest>(product, 0, of_widest);
  const int64_t vectors = (product.columns - of_widest) / kLanes, end = of_widest + vectors * kLanes;
  if constexpr (kWidest > 3)
    if (vectors == 3) rows_of<Kind, Number, 3>(product, of_widest, end);
  if (vectors == 2) rows_of<Kind, Number, 2>(product, of_widest, end);
  if (vectors == 1) rows_of<Kind, Number, 1>(product, of_widest, end);
  if (end < product.columns) last_columns<Kind, Number>(product, end);
}

void pair_f32(const float *first, const float *second, uint32_t *out, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) out[i] = bfloat16_of(first[i]) | static_cast<uint32_t>(bfloat16_of(second[i])) << 16;
}

void pair_bf16(const uint16_t *first, const uint16_t *second, uint32_t *out, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) out[i] = first[i] | static_cast<uint32_t>(second[i]) << 16;
}

}  // namespace

extern const WordProducts products = {multiply<F32, float>, multiply<Bf16, float>, multiply<Bf16, uint16_t>, pair_f32, pair_bf16};

}  // namespace graft::GRAFT_INSTRUCTIONS
