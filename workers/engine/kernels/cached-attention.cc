// Attention of new tokens to all earlier ones of their texts, whose keys and values are in the session's cache. The new ones' are added to it.
//
// Q is [tokens, heads, size], rotated; K and V are [tokens, kv_heads, size]. With S = scale·QKᵀ, capped at c as c·tanh(S / c): O = softmax(S)·V.
// A sink is a score beside those of its head: it is in the softmax's sum alone.
// What a query gets depends on its own text alone, to the bit.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "key-value-cache.h"
#include "parallel.h"
#include "recurrent-states.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"
#include "words.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Queries of one head that are computed together.
constexpr int64_t kQueryBlock = 32;

class CachedAttention : public Kernel {
 public:
  explicit CachedAttention(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("scale", &scale_));
    OP_REQUIRES_OK(construction, construction->GetAttr("soft_cap", &soft_cap_));
    OP_REQUIRES_OK(construction, construction->GetAttr("window", &window_));
    OP_REQUIRES_OK(construction, construction->GetAttr("layer", &layer_));
  }

  void Compute(tf::OpKernelContext *context) override {
    const tf::TensorShape &q = context->input(0).shape(), &k = context->input(1).shape();
    const bool match = q.dims() == 3 && k.dims() == 3 && k == context->input(2).shape() && q.dim_size(0) == k.dim_size(0) &&
                       q.dim_size(2) == k.dim_size(2) && k.dim_size(1) > 0 && q.dim_size(1) % k.dim_size(1) == 0 &&
                       context->input(3).NumElements() == q.dim_size(0) && context->input(4).NumElements() == q.dim_size(0) &&
                       (context->num_inputs() == 5 || (context->num_inputs() == 6 && context->input(5).NumElements() == q.dim_size(1)));
    OP_REQUIRES(context, match, absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of q, k, v, the places and the sinks do not match")));
    const Sizes sizes{q.dim_size(1), k.dim_size(1), q.dim_size(2), padded(q.dim_size(2))};
    tf::Tensor *o = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, q, &o));
    KeyValueCache *cache = nullptr;
    OP_REQUIRES_OK(context, KeyValueCache::of_session(context, &cache));
    tf::core::ScopedUnref unref(cache);
    const std::vector<Block> blocks = store(context, cache, sizes, q.dim_size(0));
    // The query heads that share a key head are computed together where each has one query.
    const bool together = std::all_of(blocks.begin(), blocks.end(), [](const Block &block) { return block.count == 1; });
    const int64_t heads = together ? sizes.heads / sizes.kv_heads : 1, units_per_block = sizes.heads / heads;
    int64_t scores = 0;
    for (const Block &block : blocks) scores += block.count * (block.position + block.count);
    const int64_t cycles = 1 + heads * scores * sizes.size / 4 / std::max<int64_t>(1, blocks.size());
    parallel(context, blocks.size() * units_per_block, cycles, [&](int64_t begin, int64_t end) {
      Scratch scratch;
      for (int64_t unit = begin; unit < end; unit++)
        attend(context, sizes, blocks[unit / units_per_block], unit % units_per_block * heads, heads, &scratch, o);
    });
  }

 private:
  struct Sizes {
    int64_t heads, kv_heads, size, stride;
  };
  // Neighbouring tokens of one text. They are at neighbouring positions.
  struct Block {
    const LayerCache *cache;
    int64_t token, position, count;
  };
  struct Scratch {
    std::vector<float> scores, sums;
  };

  float scale_;
  float soft_cap_;  // 0: no cap
  int64_t window_;  // how many tokens a token attends to at most, itself included; 0: no limit
  int64_t layer_;

  // Adds the new keys and values to the cache. @return the tokens, in blocks
  std::vector<Block> store(tf::OpKernelContext *context, KeyValueCache *cache, const Sizes &sizes, int64_t tokens) const {
    const float *k = context->input(1).flat<float>().data(), *v = context->input(2).flat<float>().data();
    const int32_t *slots = context->input(3).flat<int32_t>().data(), *positions = context->input(4).flat<int32_t>().data();
    std::vector<Block> blocks;
    LayerCache *text = nullptr;
    for (int64_t token = 0; token < tokens; token++) {
      const int64_t position = positions[token];
      const bool continues = token > 0 && slots[token] == slots[token - 1] && position == positions[token - 1] + 1;
      if (!continues) text = cache->layer(layer_, slots[token]);
      text->grow(position + 1, sizes.kv_heads, sizes.size, sizes.stride);
      const int64_t page = position / kPageTokens, place = position % kPageTokens;
      for (int64_t head = 0; head < sizes.kv_heads; head++) {
        const int64_t offset = (token * sizes.kv_heads + head) * sizes.size;
        float *keys = text->keys(page, head) + place;
        for (int64_t i = 0; i < sizes.size; i++) keys[i * kPageTokens] = k[offset + i];
        std::copy_n(v + offset, sizes.size, text->values(page, head) + place * sizes.stride);
      }
      if (continues && blocks.back().count < kQueryBlock)
        blocks.back().count++;
      else
        blocks.push_back({text, token, position, 1});
    }
    return blocks;
  }

  static float sink_of(tf::OpKernelContext *context, int64_t head) {
    return context->num_inputs() == 5 ? -std::numeric_limits<float>::infinity() : context->input(5).flat<float>()(head);
  }

  int64_t first_visible(int64_t position) const { return window_ > 0 ? std::max<int64_t>(0, position - window_ + 1) : 0; }

  // Query heads from `head` on, which share a key head: several of one query, or one of several queries.
  void attend(tf::OpKernelContext *context, const Sizes &sizes, const Block &block, int64_t head, int64_t heads, Scratch *scratch,
              tf::Tensor *o) const {
    const TileOperations &operations = tile_operations();
    const int64_t rows = heads * block.count, kv_head = head / (sizes.heads / sizes.kv_heads);
    const int64_t row_stride = block.count == 1 ? sizes.size : sizes.heads * sizes.size;
    const int64_t offset = (block.token * sizes.heads + head) * sizes.size;
    const float *q = context->input(0).flat<float>().data() + offset;
    const int64_t first_page = first_visible(block.position) / kPageTokens, last_page = (block.position + block.count - 1) / kPageTokens;
    const int64_t begin = first_page * kPageTokens, columns = (last_page + 1) * kPageTokens - begin;
    scratch->scores.resize(rows * columns);
    scratch->sums.resize(rows * sizes.stride);
    float *scores = scratch->scores.data(), *sums = scratch->sums.data();
    for (int64_t page = first_page; page <= last_page; page++)
      word_products().f32_to_f32({q, row_stride, 1, block.cache->keys(page, kv_head), kPageTokens, nullptr, scores + page * kPageTokens - begin,
                                  columns, rows, sizes.size, kPageTokens});
    if (soft_cap_ != 0) {
      operations.vector_scalar[kMul](scores, scale_ / soft_cap_, scores, rows * columns);
      operations.unary[kTanh](scores, scores, rows * columns);
    }
    const float factor = soft_cap_ == 0 ? scale_ : soft_cap_;
    for (int64_t i = 0; i < rows; i++) {
      const int64_t position = block.position + (block.count == 1 ? 0 : i);
      const int64_t first = first_visible(position) - begin, count = position + 1 - first_visible(position);
      float *row = scores + i * columns, *visible = row + first;
      const float sink = sink_of(context, head + (block.count == 1 ? i : 0));
      const float largest = std::max(operations.reduction[kMax](visible, count) * factor, sink);
      const float sum = operations.exponentials(visible, factor, largest, visible, count) + std::exp(sink - largest);
      operations.vector_scalar[kMul](visible, 1.0f / sum, visible, count);
      std::fill(row, visible, 0.0f);
      std::fill(visible + count, row + columns, 0.0f);
    }
    for (int64_t page = first_page; page <= last_page; page++)
      word_products().f32_to_f32({scores + page * kPageTokens - begin, columns, 1, block.cache->values(page, kv_head), sizes.stride,
                                  page == first_page ? nullptr : sums, sums, sizes.stride, rows, kPageTokens, sizes.stride});
    float *out = o->flat<float>().data() + offset;
    for (int64_t i = 0; i < rows; i++) std::copy_n(sums + i * sizes.stride, sizes.size, out + i * row_stride);
  }
};

// Frees the memory of texts.
class CacheRelease : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    KeyValueCache *cache = nullptr;
    OP_REQUIRES_OK(context, KeyValueCache::of_session(context, &cache));
    RecurrentStates *states = nullptr;
    tf::core::ScopedUnref unref(cache);
    OP_REQUIRES_OK(context, RecurrentStates::of_session(context, &states));
    tf::core::ScopedUnref unref_states(states);
    const auto slots = context->input(0).flat<int32_t>();
    for (int64_t i = 0; i < slots.size(); i++) {
      cache->release(slots(i));
      states->release(slots(i));
    }
    context->set_output(0, context->input(0));
  }
};

REGISTER_OP("GraftCachedAttention")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("slots: int32")
    .Input("positions: int32")
    .Input("sinks: N * float")
    .Output("o: float")
    .Attr("N: int >= 0")
    .Attr("scale: float")
    .Attr("soft_cap: float")
    .Attr("window: int")
    .Attr("layer: int")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftCacheRelease").Input("slots: int32").Output("released: int32").SetIsStateful().SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftCachedAttention").Device(tf::DEVICE_CPU), CachedAttention);
REGISTER_KERNEL_BUILDER(Name("GraftCacheRelease").Device(tf::DEVICE_CPU), CacheRelease);

}  // namespace
}  // namespace graft
