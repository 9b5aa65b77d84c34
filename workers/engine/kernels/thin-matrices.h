// What the thin products share: narrow matrices packed into words, and sums over the tokens.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "own-columns.h"
#include "parallel.h"
#include "words.h"

namespace graft {

// Columns of a wide matrix that are computed together.
constexpr int64_t kColumns = 256;
// The tokens are split into this many parts for any number of threads, so that sums over them are always added in the same order.
constexpr int64_t kParts = 8;

// The axis over which a product with a narrow matrix sums.
enum class SumsOver { kRank, kColumns };

// A narrow matrix, packed as the right operand of a product for each group: with the group's columns alone.
template <class Element>
class NarrowMatrices {
 public:
  // @param t [rank, columns], or [columns, rank] if `transposed`
  NarrowMatrices(tensorflow::OpKernelContext *context, const tensorflow::Tensor &t, bool transposed, SumsOver axis, const OwnColumns &own)
      : rank_(t.dim_size(transposed ? 1 : 0)), columns_(t.dim_size(transposed ? 0 : 1)), packed_(own.groups().size()) {
    const bool is_float = t.dtype() == tensorflow::DT_FLOAT;
    std::vector<float> converted(is_float ? 0 : rank_ * columns_);
    if (!is_float) load(t, 0, converted.data(), converted.size());
    const float *given = is_float ? t.flat<float>().data() : converted.data();
    parallel(context, packed_.size(), 2 * columns_ * own.widest(), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) packed_[i] = pack(given, transposed, axis, own.groups()[i]);
    });
  }

  const Word<Element> *data(size_t group) const { return packed_[group].matrix.data; }
  int64_t stride(size_t group) const { return packed_[group].matrix.stride; }

 private:
  // The memory is that of one of the two.
  struct Packed {
    std::vector<float> elements;
    std::vector<Word<Element>> words;
    PackedMatrix<Element> matrix;
  };
  const int64_t rank_, columns_;
  std::vector<Packed> packed_;

  Packed pack(const float *given, bool transposed, SumsOver axis, const std::vector<int64_t> &own) const {
    const int64_t count = own.size(), rows = axis == SumsOver::kRank ? count : columns_;
    const int64_t stride = padded(axis == SumsOver::kRank ? columns_ : count);
    Packed packed{std::vector<float>(rows * stride, 0.0f), {}, {}};
    float *elements = packed.elements.data();
    if (!transposed && axis == SumsOver::kRank) {
      for (int64_t j = 0; j < count; j++) std::memcpy(elements + j * stride, given + own[j] * columns_, columns_ * sizeof(float));
    } else {
      const int64_t from_rank = transposed ? 1 : columns_, from_column = transposed ? rank_ : 1;
      const int64_t to_rank = axis == SumsOver::kRank ? stride : 1, to_column = axis == SumsOver::kRank ? 1 : stride;
      for (int64_t first = 0; first < columns_; first += kColumnBlock)
        for (int64_t j = 0; j < count; j++)
          for (int64_t column = first; column < std::min(first + kColumnBlock, columns_); column++)
            elements[j * to_rank + column * to_column] = given[own[j] * from_rank + column * from_column];
    }
    packed.matrix = interleave_rows<Element>(elements, stride, rows, stride, &packed.words);
    return packed;
  }
};

// Writes the block's rows of out [tokens, rank]: X [tokens, columns] · Tᵀ in its own columns, 0 in the others.
template <class Element>
void reduce(const tensorflow::Tensor &x, const NarrowMatrices<Element> &narrow, const OwnColumns &own, const Block &block, tensorflow::Tensor *out) {
  const std::vector<int64_t> &group = own.groups()[block.group];
  const int64_t columns = x.dim_size(1), rank = out->dim_size(1), width = padded(group.size());
  std::vector<Word<Element>> memory;
  const auto left = pack_whole_rows<Element>(elements<Element>(x) + block.first * columns, block.count, columns, &memory);
  // Whole registers wide: narrower products take far longer.
  std::vector<float> products(block.count * width);
  Words<Element>::multiply({left.data, left.stride, 1, narrow.data(block.group), narrow.stride(block.group), nullptr, products.data(), width,
                            block.count, left.stride, width});
  float *rows = out->flat<float>().data() + block.first * rank;
  std::fill(rows, rows + block.count * rank, 0.0f);
  for (int64_t i = 0; i < block.count; i++)
    for (size_t j = 0; j < group.size(); j++) rows[i * rank + group[j]] = products[i * width + j];
}

// The product Hᵀ·X, a sum over the tokens: one sum for each part of them and each of its groups, and then the totals.
template <class Element>
class OuterSums {
 public:
  OuterSums(const tensorflow::Tensor &h, int64_t columns, const OwnColumns &own)
      : h_(h),
        own_(own),
        columns_(columns),
        stride_(padded(columns)),
        blocks_per_part_((own.blocks().size() + kParts - 1) / kParts),
        parts_(kParts) {}

  // Computes the sums of the parts from `begin` to before `end`. Calls `each` for a block of tokens before the block is added.
  void add(int64_t begin, int64_t end, const Element *x, const std::function<void(const Block &)> &each) {
    const int64_t blocks = own_.blocks().size();
    std::vector<float> h;
    std::vector<Word<Element>> left_memory, right_memory;
    for (int64_t part = begin; part < end; part++) {
      for (int64_t i = part * blocks_per_part_; i < std::min((part + 1) * blocks_per_part_, blocks); i++) {
        const Block &block = own_.blocks()[i];
        const std::vector<int64_t> &own = own_.groups()[block.group];
        const int64_t rank = own.size();
        each(block);
        if (rank == 0) continue;
        const bool is_first = parts_[part].empty() || parts_[part].back().group != block.group;
        if (is_first) parts_[part].push_back({block.group, std::unique_ptr<float[]>(new float[rank * stride_])});
        float *sums = parts_[part].back().sums.get();
        load_own(h_, block, own, rank, &h);
        const auto left = interleave_rows<Element>(h.data(), rank, block.count, rank, &left_memory);
        for (int64_t column = 0; column < columns_; column += kColumns) {
          const int64_t width = std::min(kColumns, columns_ - column);
          const auto right = interleave_rows<Element>(x + block.first * columns_ + column, columns_, block.count, width, &right_memory);
          Words<Element>::multiply({left.data, 1, left.stride, right.data, right.stride, is_first ? nullptr : sums + column, sums + column, stride_,
                                    rank, word_count<Element>(block.count), width});
        }
      }
    }
  }

  // Writes the totals of the columns from `begin` to before `end`, as [rank, columns] or transposed. They are 0 where no token is the owner's.
  void write(int64_t begin, int64_t end, bool transposed, float *out) {
    const int64_t rank = h_.dim_size(1);
    const std::vector<float> zeros(stride_);
    std::vector<const float *> totals(rank, zeros.data());
    for (size_t group = 0; group < own_.groups().size(); group++) {
      const std::vector<float *> sums = sums_of(group);
      for (size_t j = 0; j < own_.groups()[group].size() && !sums.empty(); j++) {
        float *total = sums[0] + j * stride_;
        for (size_t i = 1; i < sums.size(); i++)
          tile_operations().vector_vector[kAdd](total + begin, sums[i] + j * stride_ + begin, total + begin, end - begin);
        totals[own_.groups()[group][j]] = total;
      }
    }
    if (!transposed) {
      for (int64_t j = 0; j < rank; j++) std::memcpy(out + j * columns_ + begin, totals[j] + begin, (end - begin) * sizeof(float));
      return;
    }
    for (int64_t first = begin; first < end; first += kColumnBlock)
      for (int64_t j = 0; j < rank; j++)
        for (int64_t column = first; column < std::min(first + kColumnBlock, end); column++) out[column * rank + j] = totals[j][column];
  }

  int64_t tokens_per_part() const { return blocks_per_part_ * kTokens; }

 private:
  struct GroupSums {
    size_t group;
    std::unique_ptr<float[]> sums;  // [columns of the group, stride]
  };

  // In order of the parts.
  std::vector<float *> sums_of(size_t group) const {
    std::vector<float *> found;
    for (const auto &part : parts_)
      for (const GroupSums &of_group : part)
        if (of_group.group == group) found.push_back(of_group.sums.get());
    return found;
  }

  const tensorflow::Tensor &h_;
  const OwnColumns &own_;
  const int64_t columns_, stride_, blocks_per_part_;
  std::vector<std::vector<GroupSums>> parts_;
};

}  // namespace graft
