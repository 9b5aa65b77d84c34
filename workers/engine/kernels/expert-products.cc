// Products of a mixture of experts: each row is multiplied with the matrices of a few experts, which `experts` names. Rows are gathered by their
// experts, so that each matrix is read once for every 64 of its rows, and experts without rows are not read at all.
#include <algorithm>
#include <functional>
#include <vector>

#include "expert-kernels.h"
#include "expert-rows.h"
#include "parallel.h"
#include "tensorflow/core/framework/op.h"
#include "thin-matrices.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Columns of a result that are computed together.
constexpr int64_t kTile = 64;

// W may be held in bf16 where X is f32: it is widened a tile at a time.
class ExpertProducts : public ExpertProductsKernel {
 public:
  using ExpertProductsKernel::ExpertProductsKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1), &experts = context->input(2);
    OP_REQUIRES(context, x.dtype() == tf::DT_FLOAT || w.dtype() == tf::DT_BFLOAT16, invalid(context, "experts in f32 take rows in f32"));
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open(context, &out));
    const int64_t rows = x.dim_size(0), choices = experts.dim_size(0);
    const auto blocks = group_by_expert(experts.flat<int32_t>().data(), choices, w.dim_size(0), kTokens);
    OP_REQUIRES(context, blocks.has_value(), invalid(context, "an expert does not exist"));
    if (choices == 0) return;
    if (x.dtype() == tf::DT_BFLOAT16)
      multiply<uint16_t, uint16_t>(context, *blocks, choices / rows, out);
    else
      with_element_type(w, [&](auto held) { multiply<float, decltype(held)>(context, *blocks, choices / rows, out); });
  }

 private:
  // Calls `work` with each block and each tile of columns. The tiles of one expert follow each other.
  static void for_tiles(tf::OpKernelContext *context, const std::vector<ExpertBlock> &blocks, int64_t columns, int64_t inner,
                        const std::function<void(size_t block, int64_t column, int64_t width)> &work) {
    const int64_t tiles = (columns + kTile - 1) / kTile;
    parallel(context, blocks.size() * tiles, inner * kTile * kTokens / 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) work(i / tiles, i % tiles * kTile, std::min(kTile, columns - i % tiles * kTile));
    });
  }

  template <class Element>
  static std::vector<std::vector<Word<Element>>> packed(tf::OpKernelContext *context, const std::vector<ExpertBlock> &blocks, int64_t columns,
                                                        const std::function<std::vector<Word<Element>>(const std::vector<int64_t> &)> &pack) {
    std::vector<std::vector<Word<Element>>> panels(blocks.size());
    parallel(context, blocks.size(), columns * kTokens, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) panels[i] = pack(blocks[i].choices);
    });
    return panels;
  }

  template <class Element, class Held>
  void multiply(tf::OpKernelContext *context, const std::vector<ExpertBlock> &blocks, int64_t per_row, tf::Tensor *out) const {
    if (transposed_)
      multiply_transposed<Element, Held>(context, blocks, per_row, out);
    else
      multiply_plain<Element, Held>(context, blocks, per_row, out);
  }

  // W·xᵀ: each row of W is read as it lies in memory.
  template <class Element, class Held>
  static void multiply_transposed(tf::OpKernelContext *context, const std::vector<ExpertBlock> &blocks, int64_t per_row, tf::Tensor *out) {
    const tf::Tensor &x = context->input(0), &w = context->input(1);
    const int64_t inner = w.dim_size(2), columns = w.dim_size(1);
    const auto panels = packed<Element>(
        context, blocks, inner, [&](const std::vector<int64_t> &choices) { return transposed_rows(elements<Element>(x), inner, choices, per_row); });
    for_tiles(context, blocks, columns, inner, [&](size_t number, int64_t column, int64_t width) {
      const ExpertBlock &block = blocks[number];
      const int64_t count = block.choices.size(), stride = padded(count);
      std::vector<Word<Element>> memory;
      const auto left = pack_whole_rows<Element>(elements<Held>(w) + (block.expert * columns + column) * inner, width, inner, &memory);
      std::vector<float> products(width * stride);
      Words<Element>::multiply(
          {left.data, left.stride, 1, panels[number].data(), stride, nullptr, products.data(), stride, width, word_count<Element>(inner), stride});
      std::vector<float> row(width);
      for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < width; j++) row[j] = products[j * stride + i];
        store(row.data(), out, block.choices[i] * columns + column, width);
      }
    });
  }

  template <class Element, class Held>
  static void multiply_plain(tf::OpKernelContext *context, const std::vector<ExpertBlock> &blocks, int64_t per_row, tf::Tensor *out) {
    const tf::Tensor &x = context->input(0), &w = context->input(1);
    const int64_t inner = w.dim_size(1), columns = w.dim_size(2), words = word_count<Element>(inner);
    const auto panels = packed<Element>(
        context, blocks, inner, [&](const std::vector<int64_t> &choices) { return copied_rows(elements<Element>(x), inner, choices, per_row); });
    for_tiles(context, blocks, columns, inner, [&](size_t number, int64_t column, int64_t width) {
      const ExpertBlock &block = blocks[number];
      const int64_t count = block.choices.size(), stride = padded(width);
      std::vector<Word<Element>> memory;
      const auto right = interleave_rows<Element>(elements<Held>(w) + block.expert * inner * columns + column, columns, inner, width, &memory);
      std::vector<float> products(count * stride);
      Words<Element>::multiply({panels[number].data(), words, 1, right.data, right.stride, nullptr, products.data(), stride, count, words, width});
      for (int64_t i = 0; i < count; i++) store(products.data() + i * stride, out, block.choices[i] * columns + column, width);
    });
  }
};

class ExpertOuter : public ExpertOuterKernel {
 public:
  using ExpertOuterKernel::ExpertOuterKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &a = context->input(0), &experts = context->input(2);
    const int64_t choices = experts.dim_size(0);
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open(context, &out));
    const auto blocks = group_by_expert(experts.flat<int32_t>().data(), choices, count_, std::max<int64_t>(choices, 1));
    OP_REQUIRES(context, blocks.has_value(), invalid(context, "an expert does not exist"));
    if (blocks->size() < static_cast<size_t>(count_)) std::fill_n(out->flat<float>().data(), out->NumElements(), 0.0f);
    with_element_type(a, [&](auto element) { sums<decltype(element)>(context, *blocks, out); });
  }

 private:
  template <class Element>
  static void sums(tf::OpKernelContext *context, const std::vector<ExpertBlock> &blocks, tf::Tensor *out) {
    const tf::Tensor &a = context->input(0), &b = context->input(1);
    const int64_t choices = context->input(2).dim_size(0), p = a.dim_size(1), q = b.dim_size(1);
    std::vector<std::vector<Word<Element>>> left(blocks.size()), right(blocks.size());
    parallel(context, blocks.size(), (p + q) * choices / std::max<int64_t>(blocks.size(), 1), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        left[i] = interleaved_rows(elements<Element>(a), p, blocks[i].choices, choices / a.dim_size(0));
        right[i] = interleaved_rows(elements<Element>(b), q, blocks[i].choices, choices / b.dim_size(0));
      }
    });
    const int64_t tiles = (p + kTile - 1) / kTile;
    const int64_t cost = kTile * q * choices / std::max<int64_t>(blocks.size(), 1) / 16;
    parallel(context, blocks.size() * tiles, cost, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        const size_t number = i / tiles;
        const int64_t row = i % tiles * kTile, rows = std::min(kTile, p - row);
        float *into = out->flat<float>().data() + (blocks[number].expert * p + row) * q;
        for (int64_t column = 0; column < q; column += kColumns)
          Words<Element>::multiply({left[number].data() + row, 1, padded(p), right[number].data() + column, padded(q), nullptr, into + column, q,
                                    rows, word_count<Element>(blocks[number].choices.size()), std::min(kColumns, q - column)});
      }
    });
  }
};

REGISTER_OP("GraftExpertProducts")
    .Input("x: T")
    .Input("w: Tw")
    .Input("experts: int32")
    .Output("out: T")
    .Attr("T: {float, bfloat16}")
    .Attr("Tw: {float, bfloat16}")
    .Attr("transposed: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftExpertOuter")
    .Input("a: T")
    .Input("b: T")
    .Input("experts: int32")
    .Output("out: float")
    .Attr("T: {float, bfloat16}")
    .Attr("count: int >= 1")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftExpertProducts").Device(tf::DEVICE_CPU), ExpertProducts);
REGISTER_KERNEL_BUILDER(Name("GraftExpertOuter").Device(tf::DEVICE_CPU), ExpertOuter);

}  // namespace
}  // namespace graft
