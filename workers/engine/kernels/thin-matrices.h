// Narrow matrices as thin products take them, and sums over the tokens.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "words.h"

namespace graft {

// Tokens that are worked on at a time, and columns: what is read again is then in the first-level cache, or in the second at the most.
constexpr int64_t kTokens = 64;
constexpr int64_t kColumns = 256;
// The tokens are shared out among as many parts whatever the number of threads, so that their sums are added in one order.
constexpr int64_t kParts = 8;

// A matrix [rows, columns] as it is, or of [columns, rows] turned over, a block of it at a time; zeros in the columns up to the stride.
inline std::vector<float> table_of(const tensorflow::Tensor &t, bool turned, int64_t rows, int64_t columns, int64_t stride) {
  std::vector<float> given(rows * columns), table(rows * stride, 0.0f);
  load(t, 0, given.data(), rows * columns);
  constexpr int64_t block = 16;
  if (!turned)
    for (int64_t row = 0; row < rows; row++) std::memcpy(table.data() + row * stride, given.data() + row * columns, columns * sizeof(float));
  else
    for (int64_t first = 0; first < columns; first += block)
      for (int64_t row = 0; row < rows; row++)
        for (int64_t column = first; column < std::min(first + block, columns); column++) table[row * stride + column] = given[column * rows + row];
  return table;
}

// A narrow matrix for the right of a product: in words across its rows.
template <class Number>
class Table {
 public:
  Table(const tensorflow::Tensor &t, bool turned, int64_t rows, int64_t columns)
      : numbers_(table_of(t, turned, rows, columns, padded(columns))),
        words_(across_rows<Number>(numbers_.data(), padded(columns), rows, padded(columns), &memory_)) {}
  Table(const Table &) = delete;
  const Word<Number> *data() const { return words_.data; }
  int64_t stride() const { return words_.stride; }

 private:
  const std::vector<float> numbers_;
  std::vector<Word<Number>> memory_;
  const InWords<Number> words_;
};

// Whole rows in words along them, without a copy where rows are of whole words.
template <class Number>
InWords<Number> rows_as_they_are(const Number *x, int64_t rows, int64_t columns, std::vector<Word<Number>> *memory) {
  const int64_t stride = words<Number>(columns);
  if (stride * Words<Number>::kPerWord == columns) return {reinterpret_cast<const Word<Number> *>(x), stride};
  memory->assign(rows * stride, 0);
  for (int64_t i = 0; i < rows; i++) std::memcpy(memory->data() + i * stride, x + i * columns, columns * sizeof(Number));
  return {memory->data(), stride};
}

// out [rows, rank] = x [rows, columns] · table [columns, rank]
template <class Number>
void reduce(const Number *x, const Table<Number> &table, float *out, int64_t rows, int64_t columns, int64_t rank) {
  std::vector<Word<Number>> memory;
  const auto left = rows_as_they_are(x, rows, columns, &memory);
  Words<Number>::multiply({left.data, left.stride, 1, table.data(), table.stride(), nullptr, out, rank, rows, left.stride, rank});
}

// The sums Hᵀ·X of some tokens after others, for each part of them.
template <class Number>
class OuterSums {
 public:
  OuterSums(const tensorflow::Tensor &h, int64_t columns)
      : rows_(h.dim_size(0)),
        rank_(h.dim_size(1)),
        columns_(columns),
        stride_(padded(columns)),
        blocks_((rows_ + kTokens - 1) / kTokens),
        of_part_((blocks_ + kParts - 1) / kParts),
        of_h_(rows_ * rank_),
        sums_(new float[kParts * rank_ * stride_]) {
    load(h, 0, of_h_.data(), rows_ * rank_);
  }

  // Calls for each block of the parts from `begin` to `end`, and adds it.
  void add(int64_t begin, int64_t end, const Number *x, const std::function<void(int64_t first, int64_t count)> &each) {
    std::vector<Word<Number>> left_memory, right_memory;
    for (int64_t part = begin; part < end; part++) {
      float *sums = sums_.get() + part * rank_ * stride_;
      if (part * of_part_ >= blocks_) std::fill(sums, sums + rank_ * stride_, 0.0f);
      for (int64_t block = part * of_part_; block < std::min((part + 1) * of_part_, blocks_); block++) {
        const int64_t first = block * kTokens, count = std::min(kTokens, rows_ - first);
        each(first, count);
        const auto left = across_rows<Number>(of_h_.data() + first * rank_, rank_, count, rank_, &left_memory);
        for (int64_t column = 0; column < columns_; column += kColumns) {
          const int64_t width = std::min(kColumns, columns_ - column);
          const auto right = across_rows<Number>(x + first * columns_ + column, columns_, count, width, &right_memory);
          Words<Number>::multiply({left.data, 1, left.stride, right.data, right.stride, block == part * of_part_ ? nullptr : sums + column,
                                   sums + column, stride_, rank_, words<Number>(count), width});
        }
      }
    }
  }

  // The parts' sums together, [rank, columns] or [columns, rank].
  void write(int64_t begin, int64_t end, bool transposed, float *out) {
    for (int64_t j = 0; j < rank_; j++) {
      float *sum = sums_.get() + j * stride_;
      for (int64_t part = 1; part < kParts; part++)
        tile_operations().vector_vector[kAdd](sum + begin, sum + part * rank_ * stride_ + begin, sum + begin, end - begin);
      if (!transposed) std::memcpy(out + j * columns_ + begin, sum + begin, (end - begin) * sizeof(float));
    }
    if (!transposed) return;
    for (int64_t first = begin; first < end; first += kColumnBlock)
      for (int64_t j = 0; j < rank_; j++)
        for (int64_t column = first; column < std::min(first + kColumnBlock, end); column++) out[column * rank_ + j] = sums_[j * stride_ + column];
  }

  int64_t rank() const { return rank_; }
  int64_t tokens_of_part() const { return of_part_ * kTokens; }

 private:
  const int64_t rows_, rank_, columns_, stride_, blocks_, of_part_;
  std::vector<float> of_h_;
  const std::unique_ptr<float[]> sums_;
};

}  // namespace graft
