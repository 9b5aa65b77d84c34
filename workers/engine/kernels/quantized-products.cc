// Products with a frozen matrix that is held quantised. It is never whole in memory: a panel of it at a time is dequantised into the first-level
// cache and multiplied with many tokens there.
#include <algorithm>
#include <vector>

#include "parallel.h"
#include "quantized-kernel.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"
#include "words.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Words of the inner axis that a panel holds: 32 KiB.
constexpr int64_t kPanelWords = 128;
// Tokens for which a panel is dequantised once.
constexpr int64_t kPanelTokens = 512;

// A panel of a matrix as the right operand of products.
template <class Element>
class Panel {
 public:
  static constexpr int64_t kInner = kPanelWords * Words<Element>::kPerWord;

  // @param transposed whether the panel's inner axis is the matrix's columns, for x·Wᵀ; otherwise it is its rows, for x·W
  Panel(const QuantizedMatrix &matrix, bool transposed)
      : matrix_(matrix), transposed_(transposed), elements_(kInner * kPanelColumns), rows_(kPanelWords * kPanelColumns), words_(rows_.size()) {}

  // @param columns of the panel, at most kPanelColumns. @param inner at most kInner
  const Word<Element> *fill(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    return transposed_ ? from_columns(first_inner, inner, first_column, columns) : from_rows(first_inner, inner, first_column, columns);
  }

 private:
  const QuantizedMatrix &matrix_;
  const bool transposed_;
  std::vector<float> elements_;
  std::vector<Word<Element>> rows_, words_;

  const Word<Element> *from_columns(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    const int64_t words = (word_count<Element>(inner) + kColumnBlock - 1) / kColumnBlock * kColumnBlock, padded = words * Words<Element>::kPerWord;
    std::fill(rows_.begin(), rows_.end(), 0);
    for (int64_t i = 0; i < columns; i++) {
      float *row = elements_.data();
      std::fill(row + inner, row + padded, 0.0f);
      matrix_.read(first_column + i, first_inner, inner, row);
      pack(row, padded, rows_.data() + i * words);
    }
    quantized_rows().transpose(reinterpret_cast<const uint32_t *>(rows_.data()), words, reinterpret_cast<uint32_t *>(words_.data()));
    return words_.data();
  }

  const Word<Element> *from_rows(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    for (int64_t i = 0; i < inner; i++) matrix_.read(first_inner + i, first_column, columns, elements_.data() + i * kPanelColumns);
    return interleave_rows<Element>(elements_.data(), kPanelColumns, inner, kPanelColumns, &words_).data;
  }

  static void pack(const float *row, int64_t count, Word<Element> *words) {
    if constexpr (std::is_same_v<Element, float>)
      std::memcpy(words, row, count * sizeof(float));
    else
      tile_operations().to_bf16(row, reinterpret_cast<uint16_t *>(words), count);
  }
};

// X [tokens, inner] · Wᵀ, or X · W if not `transposed`. The sums are f32 and have one order, whatever is computed beside them.
class QuantizedProduct : public QuantizedKernel {
 public:
  using QuantizedKernel::QuantizedKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1);
    const int64_t inner = transposed_ ? layout_.columns : layout_.rows, columns = transposed_ ? layout_.rows : layout_.columns;
    OP_REQUIRES(context, x.dims() == 2 && x.dim_size(1) == inner && static_cast<int64_t>(w.TotalBytes()) >= layout_.bytes(),
                absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of the matrices do not match")));
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {x.dim_size(0), columns}, &out));
    with_element_type(x, [&](auto element) { multiply<decltype(element)>(context, x, QuantizedMatrix(layout_, w.data()), inner, columns, out); });
  }

 private:
  template <class Element>
  void multiply(tf::OpKernelContext *context, const tf::Tensor &x, const QuantizedMatrix &w, int64_t inner, int64_t columns, tf::Tensor *out) const {
    const int64_t tokens = x.dim_size(0), across = blocks_of(columns, kPanelColumns), down = blocks_of(tokens, kPanelTokens);
    std::vector<Word<Element>> memory;
    const auto left = pack_whole_rows(elements<Element>(x), tokens, inner, &memory);
    parallel(context, across * down, std::min(tokens, kPanelTokens) * inner * kPanelColumns / 16, [&](int64_t begin, int64_t end) {
      Panel<Element> panel(w, transposed_);
      std::vector<float> sums(std::min(tokens, kPanelTokens) * kPanelColumns);
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t token = unit / across * kPanelTokens, count = std::min(kPanelTokens, tokens - token);
        const int64_t column = unit % across * kPanelColumns, width = std::min(kPanelColumns, columns - column);
        for (int64_t k = 0; k < inner; k += Panel<Element>::kInner) {
          const int64_t depth = std::min(Panel<Element>::kInner, inner - k);
          Words<Element>::multiply({left.data + token * left.stride + k / Words<Element>::kPerWord, left.stride, 1,
                                    panel.fill(k, depth, column, width), kPanelColumns, k == 0 ? nullptr : sums.data(), sums.data(), kPanelColumns,
                                    count, word_count<Element>(depth), padded(width)});
        }
        for (int64_t i = 0; i < count; i++) store(sums.data() + i * kPanelColumns, out, (token + i) * columns + column, width);
      }
    });
  }
};

REGISTER_OP("GraftQuantizedProduct")
    .Input("x: T")
    .Input("w: int32")
    .Output("out: T")
    .Attr("T: {float, bfloat16}")
    .Attr("format: string")
    .Attr("rows: int")
    .Attr("columns: int")
    .Attr("transposed: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftQuantizedProduct").Device(tf::DEVICE_CPU), QuantizedProduct);

}  // namespace
}  // namespace graft
