// What the thin products share: narrow matrices packed into words, and sums over the tokens.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "words.h"

namespace graft {

// Tokens and columns in a block: what is read several times then stays in the first-level cache, or at most in the second.
constexpr int64_t kTokens = 64;
constexpr int64_t kColumns = 256;
// The tokens are split into this many parts for any number of threads, so that sums over them are always added in the same order.
constexpr int64_t kParts = 8;

// The tensor as floats [rows, columns] with zeros in the columns up to the stride. A transposed one is given as [columns, rows].
inline std::vector<float> read_matrix(const tensorflow::Tensor &t, bool transposed, int64_t rows, int64_t columns, int64_t stride) {
  std::vector<float> given(rows * columns), matrix(rows * stride, 0.0f);
  load(t, 0, given.data(), rows * columns);
  constexpr int64_t block = 16;
  if (!transposed)
    for (int64_t row = 0; row < rows; row++) std::memcpy(matrix.data() + row * stride, given.data() + row * columns, columns * sizeof(float));
  else
    for (int64_t first = 0; first < columns; first += block)
      for (int64_t row = 0; row < rows; row++)
        for (int64_t column = first; column < std::min(first + block, columns); column++) matrix[row * stride + column] = given[column * rows + row];
  return matrix;
}

// A narrow matrix, packed as the right operand of a product.
template <class Element>
class NarrowMatrix {
 public:
  NarrowMatrix(const tensorflow::Tensor &t, bool transposed, int64_t rows, int64_t columns)
      : elements_(read_matrix(t, transposed, rows, columns, padded(columns))),
        packed_(interleave_rows<Element>(elements_.data(), padded(columns), rows, padded(columns), &memory_)) {}
  NarrowMatrix(const NarrowMatrix &) = delete;
  const Word<Element> *data() const { return packed_.data; }
  int64_t stride() const { return packed_.stride; }

 private:
  const std::vector<float> elements_;
  std::vector<Word<Element>> memory_;
  const PackedMatrix<Element> packed_;
};

// Packs a matrix whose columns are the inner axis, without a copy where they fill whole words.
template <class Element>
PackedMatrix<Element> pack_whole_rows(const Element *x, int64_t rows, int64_t columns, std::vector<Word<Element>> *memory) {
  const int64_t stride = word_count<Element>(columns);
  if (stride * Words<Element>::kPerWord == columns) return {reinterpret_cast<const Word<Element> *>(x), stride};
  memory->assign(rows * stride, 0);
  for (int64_t i = 0; i < rows; i++) std::memcpy(memory->data() + i * stride, x + i * columns, columns * sizeof(Element));
  return {memory->data(), stride};
}

// out [rows, rank] = x [rows, columns] · narrow [columns, rank]
template <class Element>
void reduce(const Element *x, const NarrowMatrix<Element> &narrow, float *out, int64_t rows, int64_t columns, int64_t rank) {
  std::vector<Word<Element>> memory;
  const auto left = pack_whole_rows(x, rows, columns, &memory);
  Words<Element>::multiply({left.data, left.stride, 1, narrow.data(), narrow.stride(), nullptr, out, rank, rows, left.stride, rank});
}

// The product Hᵀ·X, a sum over the tokens: one sum for each part of them, and then the total.
template <class Element>
class OuterSums {
 public:
  OuterSums(const tensorflow::Tensor &h, int64_t columns)
      : rows_(h.dim_size(0)),
        rank_(h.dim_size(1)),
        columns_(columns),
        stride_(padded(columns)),
        blocks_((rows_ + kTokens - 1) / kTokens),
        blocks_per_part_((blocks_ + kParts - 1) / kParts),
        h_(rows_ * rank_),
        sums_(new float[kParts * rank_ * stride_]) {
    load(h, 0, h_.data(), rows_ * rank_);
  }

  // Computes the sums of the parts from `begin` to before `end`. Calls `each` for a block of tokens before the block is added.
  void add(int64_t begin, int64_t end, const Element *x, const std::function<void(int64_t first, int64_t count)> &each) {
    std::vector<Word<Element>> left_memory, right_memory;
    for (int64_t part = begin; part < end; part++) {
      float *sums = sums_.get() + part * rank_ * stride_;
      if (part * blocks_per_part_ >= blocks_) std::fill(sums, sums + rank_ * stride_, 0.0f);
      for (int64_t block = part * blocks_per_part_; block < std::min((part + 1) * blocks_per_part_, blocks_); block++) {
        const int64_t first = block * kTokens, count = std::min(kTokens, rows_ - first);
        each(first, count);
        const auto left = interleave_rows<Element>(h_.data() + first * rank_, rank_, count, rank_, &left_memory);
        for (int64_t column = 0; column < columns_; column += kColumns) {
          const int64_t width = std::min(kColumns, columns_ - column);
          const auto right = interleave_rows<Element>(x + first * columns_ + column, columns_, count, width, &right_memory);
          Words<Element>::multiply({left.data, 1, left.stride, right.data, right.stride, block == part * blocks_per_part_ ? nullptr : sums + column,
                                    sums + column, stride_, rank_, word_count<Element>(count), width});
        }
      }
    }
  }

  // Writes the total of the columns from `begin` to before `end`, as [rank, columns] or transposed.
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
  int64_t tokens_per_part() const { return blocks_per_part_ * kTokens; }

 private:
  const int64_t rows_, rank_, columns_, stride_, blocks_, blocks_per_part_;
  std::vector<float> h_;
  const std::unique_ptr<float[]> sums_;
};

}  // namespace graft
