// The rows that each expert of a mixture computes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "words.h"

namespace graft {

// Choices of one expert. A choice is one of the experts of one row: row r has the choices r·k to r·k + k − 1.
struct ExpertBlock {
  int64_t expert;
  std::vector<int64_t> choices;
};

// Groups choices by their experts, in order of the experts and then of the choices.
// @param largest number of choices in a block
// @return nothing if an expert does not exist
inline std::optional<std::vector<ExpertBlock>> group_by_expert(const int32_t *experts, int64_t choices, int64_t count, int64_t largest) {
  std::vector<std::vector<int64_t>> of_expert(count);
  for (int64_t i = 0; i < choices; i++) {
    if (experts[i] < 0 || experts[i] >= count) return std::nullopt;
    of_expert[experts[i]].push_back(i);
  }
  std::vector<ExpertBlock> blocks;
  for (int64_t expert = 0; expert < count; expert++) {
    const std::vector<int64_t> &all = of_expert[expert];
    for (size_t first = 0; first < all.size(); first += largest)
      blocks.push_back({expert, {all.begin() + first, all.begin() + std::min<size_t>(first + largest, all.size())}});
  }
  return blocks;
}

// The rows of choices, copied so that each fills whole words: [choices, word_count(columns)].
// @param per_row choices of one row of x
template <class Element>
std::vector<Word<Element>> copied_rows(const Element *x, int64_t columns, const std::vector<int64_t> &choices, int64_t per_row) {
  const int64_t stride = word_count<Element>(columns);
  std::vector<Word<Element>> rows(choices.size() * stride, 0);
  for (size_t i = 0; i < choices.size(); i++) std::memcpy(rows.data() + i * stride, x + choices[i] / per_row * columns, columns * sizeof(Element));
  return rows;
}

// The same, transposed: [word_count(columns), padded(choices)].
template <class Element>
std::vector<Word<Element>> transposed_rows(const Element *x, int64_t columns, const std::vector<int64_t> &choices, int64_t per_row) {
  const int64_t words = word_count<Element>(columns), stride = padded(choices.size());
  const std::vector<Word<Element>> rows = copied_rows(x, columns, choices, per_row);
  std::vector<Word<Element>> transposed(words * stride, 0);
  for (int64_t first = 0; first < words; first += kColumnBlock)
    for (size_t i = 0; i < choices.size(); i++)
      for (int64_t j = first; j < std::min(first + kColumnBlock, words); j++) transposed[j * stride + i] = rows[i * words + j];
  return transposed;
}

// The same as the inner axis of a product: [word_count(choices), padded(columns)].
template <class Element>
std::vector<Word<Element>> interleaved_rows(const Element *x, int64_t columns, const std::vector<int64_t> &choices, int64_t per_row) {
  const int64_t stride = padded(columns), count = word_count<Element>(choices.size());
  std::vector<Word<Element>> packed(count * stride, 0);
  const std::vector<Element> zeros(columns, Element{});
  const auto row = [&](size_t i) { return i < choices.size() ? x + choices[i] / per_row * columns : zeros.data(); };
  for (int64_t i = 0; i < count; i++) {
    const int64_t first = i * Words<Element>::kPerWord;
    Words<Element>::interleave(row(first), row(first + Words<Element>::kPerWord - 1), packed.data() + i * stride, columns);
  }
  return packed;
}

}  // namespace graft
