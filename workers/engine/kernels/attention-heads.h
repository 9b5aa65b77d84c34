// The heads of queries, keys and values as matrices of words (words.h).
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "words.h"

namespace graft {

struct Sizes {
  int64_t rows, length, heads, kv_heads, size;
  int64_t stride;         // of a token in a buffer: `size`, padded
  int64_t padded_length;  // tokens in a buffer: whole tiles
};

// Tokens of a tile, whose keys or values fit the first-level cache where heads have up to 128 elements.
constexpr int64_t kTileTokens = 64;

// One head of one row, in a tensor [rows, length, heads, size].
struct Head {
  int64_t row, head, heads;
  int64_t offset(const Sizes &sizes, int64_t token) const { return ((row * sizes.length + token) * heads + head) * sizes.size; }
};

// One head of one row, [length, size], padded with zeros.
template <class Element>
class HeadMatrix {
 public:
  HeadMatrix(const tensorflow::Tensor &x, const Sizes &sizes, Head head) : sizes_(sizes), elements_(new Element[sizes.padded_length * sizes.stride]) {
    const Element *given = elements<Element>(x);
    for (int64_t i = 0; i < sizes.padded_length; i++) {
      Element *row = elements_.get() + i * sizes.stride;
      const int64_t count = i < sizes.length ? sizes.size : 0;
      if (count > 0) std::memcpy(row, given + head.offset(sizes, i), count * sizeof(Element));
      std::fill(row + count, row + sizes.stride, Element(0));
    }
  }

  int64_t words_per_token() const { return sizes_.stride / Words<Element>::kPerWord; }

  // [length, words_per_token], starting with a token.
  const Word<Element> *rows(int64_t token) const { return reinterpret_cast<const Word<Element> *>(elements_.get()) + token * words_per_token(); }

  // [words_per_token, kTileTokens] for each tile of tokens, one after the other: rows of a whole length, a power of two of them, would all be in the
  // same few sets of a cache.
  std::unique_ptr<Word<Element>[]> transposed() const {
    constexpr int64_t square = 16;
    std::unique_ptr<Word<Element>[]> out(new Word<Element>[words_per_token() * sizes_.padded_length]);
    const Word<Element> *words = rows(0);
    for (int64_t tile = 0; tile < sizes_.padded_length; tile += kTileTokens)
      for (int64_t first = tile; first < tile + kTileTokens; first += square)
        for (int64_t j = 0; j < words_per_token(); j++)
          for (int64_t i = first; i < first + square; i++)
            out[tile * words_per_token() + j * kTileTokens + i - tile] = words[i * words_per_token() + j];
    return out;
  }

  // [word_count(length), stride] with the tokens as the inner axis, starting with a token that is the first of a word.
  const Word<Element> *interleaved(int64_t token) {
    if (interleaved_.data == nullptr)
      interleaved_ = interleave_rows<Element>(elements_.get(), sizes_.stride, sizes_.padded_length, sizes_.stride, &memory_);
    return interleaved_.data + token / Words<Element>::kPerWord * interleaved_.stride;
  }

 private:
  const Sizes &sizes_;
  const std::unique_ptr<Element[]> elements_;
  std::vector<Word<Element>> memory_;
  PackedMatrix<Element> interleaved_{nullptr, 0};
};

// Writes `count` tokens of a head, starting with token `first`, from rows that are `stride` apart.
inline void write_head(const float *from, const Sizes &sizes, Head head, int64_t first, int64_t count, tensorflow::Tensor *out) {
  for (int64_t i = 0; i < count; i++) store(from + i * sizes.stride, out, head.offset(sizes, first + i), sizes.size);
}

}  // namespace graft
