// Which columns of a narrow matrix each token is multiplied with: those that have the token's owner, such as one of several adapters.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "float-access.h"

namespace graft {

// Tokens in a block: what is read several times then stays in the first-level cache, or at most in the second.
constexpr int64_t kTokens = 64;

// Neighbouring tokens with one owner.
struct Block {
  int64_t first, count;
  // The owner's place in `OwnColumns::groups`.
  size_t group;
};

class OwnColumns {
 public:
  // @param of_tokens, of_columns the owners; null if every token has all columns
  OwnColumns(int64_t tokens, int64_t columns, const int32_t *of_tokens, const int32_t *of_columns) {
    const auto owner_of = [&](int64_t token) { return of_tokens == nullptr ? 0 : of_tokens[token]; };
    std::map<int32_t, std::vector<Block>> blocks;
    for (int64_t token = 0; token < tokens;) {
      const int64_t first = token;
      const int32_t owner = owner_of(first);
      while (token < tokens && token - first < kTokens && owner_of(token) == owner) token++;
      blocks[owner].push_back({first, token - first, 0});
    }
    for (const auto &[owner, own] : blocks) {
      for (const Block &block : own) blocks_.push_back({block.first, block.count, groups_.size()});
      std::vector<int64_t> group;
      for (int64_t column = 0; column < columns; column++)
        if (of_columns == nullptr || of_columns[column] == owner) group.push_back(column);
      widest_ = std::max<int64_t>(widest_, group.size());
      groups_.push_back(std::move(group));
    }
  }

  // The columns of each owner of tokens, in order. There may be none.
  const std::vector<std::vector<int64_t>> &groups() const { return groups_; }
  // All tokens, those of one owner after those of another.
  const std::vector<Block> &blocks() const { return blocks_; }
  // The most columns that an owner has.
  int64_t widest() const { return widest_; }

 private:
  std::vector<std::vector<int64_t>> groups_;
  std::vector<Block> blocks_;
  int64_t widest_ = 0;
};

// Reads the block's own columns of H [tokens, columns] as floats, with zeros up to the stride.
inline void load_own(const tensorflow::Tensor &h, const Block &block, const std::vector<int64_t> &own, int64_t stride, std::vector<float> *into) {
  std::vector<float> row(h.dim_size(1));
  into->assign(block.count * stride, 0.0f);
  for (int64_t i = 0; i < block.count; i++) {
    load(h, (block.first + i) * row.size(), row.data(), row.size());
    for (size_t j = 0; j < own.size(); j++) (*into)[i * stride + j] = row[own[j]];
  }
}

}  // namespace graft
