// Keys and values of the texts that are being continued. A session has one cache; its memory is taken in pages as texts grow.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "per-instruction-set/word-products.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"

namespace graft {

// Tokens in a page. A multiple of kColumnBlock.
constexpr int64_t kPageTokens = 64;

// The keys and values of one text in one layer. Memory that was never written holds zeros.
class LayerCache {
 public:
  // @param stride of a token's values: the head's size, padded
  void grow(int64_t tokens, int64_t kv_heads, int64_t size, int64_t stride) {
    kv_heads_ = kv_heads, size_ = size, stride_ = stride;
    while (static_cast<int64_t>(pages_.size()) * kPageTokens < tokens) pages_.emplace_back(new float[kv_heads * head_floats()]());
  }
  // [size, kPageTokens], the keys of a page as the right operand of queries · keysᵀ.
  float *keys(int64_t page, int64_t kv_head) const { return pages_[page].get() + kv_head * head_floats(); }
  // [kPageTokens, stride]
  float *values(int64_t page, int64_t kv_head) const { return keys(page, kv_head) + size_ * kPageTokens; }

 private:
  int64_t head_floats() const { return kPageTokens * (size_ + stride_); }
  int64_t kv_heads_ = 0, size_ = 0, stride_ = 0;
  std::vector<std::unique_ptr<float[]>> pages_;
};

class KeyValueCache : public tensorflow::ResourceBase {
 public:
  // The caller owns a reference.
  static absl::Status of_session(tensorflow::OpKernelContext *context, KeyValueCache **cache) {
    return context->resource_manager()->LookupOrCreate<KeyValueCache>("", "graft-key-value-cache", cache, [](KeyValueCache **made) {
      *made = new KeyValueCache();
      return absl::OkStatus();
    });
  }
  std::string DebugString() const override { return "keys and values"; }

  // @param slot a number for the text. The result stays where it is until the slot is released
  LayerCache *layer(int64_t layer, int32_t slot) {
    std::lock_guard<std::mutex> lock(mutex_);
    return &layers_[{slot, layer}];
  }
  void release(int32_t slot) {
    std::lock_guard<std::mutex> lock(mutex_);
    layers_.erase(layers_.lower_bound({slot, 0}), layers_.lower_bound({slot + 1, 0}));
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<int32_t, int64_t>, LayerCache> layers_;
};

}  // namespace graft
