// The heads of queries, keys and values as matrices in words.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "words.h"

namespace graft {

struct Sizes {
  int64_t rows, length, heads, kv_heads, size;
  int64_t stride;  // of a head's row in a buffer
  int64_t keys;    // the length, padded
};

// Which head, of how many, of which row.
struct Place {
  int64_t row, head, heads;
  // Of a token's numbers in [rows, length, heads, size].
  int64_t of(const Sizes &sizes, int64_t token) const { return ((row * sizes.length + token) * heads + head) * sizes.size; }
};

// One head of one row, [length, size], zeros where it is padded.
template <class Number>
class HeadMatrix {
 public:
  HeadMatrix(const tensorflow::Tensor &x, const Sizes &sizes, Place place) : sizes_(sizes), numbers_(new Number[sizes.keys * sizes.stride]) {
    const Number *given = numbers_of<Number>(x);
    for (int64_t i = 0; i < sizes.keys; i++) {
      Number *row = numbers_.get() + i * sizes.stride;
      const int64_t count = i < sizes.length ? sizes.size : 0;
      if (count > 0) std::memcpy(row, given + place.of(sizes, i), count * sizeof(Number));
      std::fill(row + count, row + sizes.stride, Number(0));
    }
  }

  int64_t words_of_row() const { return sizes_.stride / Words<Number>::kPerWord; }

  // [length, words_of_row], from a token on.
  const Word<Number> *along(int64_t token) const { return reinterpret_cast<const Word<Number> *>(numbers_.get()) + token * words_of_row(); }

  // The same turned over, [words_of_row, keys].
  std::unique_ptr<Word<Number>[]> turned() const {
    constexpr int64_t tile = 16;
    std::unique_ptr<Word<Number>[]> out(new Word<Number>[words_of_row() * sizes_.keys]);
    const Word<Number> *words = along(0);
    for (int64_t first = 0; first < sizes_.keys; first += tile)
      for (int64_t j = 0; j < words_of_row(); j++)
        for (int64_t i = first; i < first + tile; i++) out[j * sizes_.keys + i] = words[i * words_of_row() + j];
    return out;
  }

  // [words(length), stride], the inner axis being that of the tokens, from a token on: the first of a word.
  const Word<Number> *across(int64_t token) {
    if (across_.data == nullptr) across_ = across_rows<Number>(numbers_.get(), sizes_.stride, sizes_.keys, sizes_.stride, &memory_);
    return across_.data + token / Words<Number>::kPerWord * across_.stride;
  }

 private:
  const Sizes &sizes_;
  const std::unique_ptr<Number[]> numbers_;
  std::vector<Word<Number>> memory_;
  InWords<Number> across_{nullptr, 0};
};

inline void write_head(const float *from, const Sizes &sizes, Place place, int64_t first, int64_t count, tensorflow::Tensor *out) {
  for (int64_t i = 0; i < count; i++) store(from + i * sizes.stride, out, place.of(sizes, first + i), sizes.size);
}

}  // namespace graft
