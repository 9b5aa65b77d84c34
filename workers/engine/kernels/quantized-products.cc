// Products with a frozen matrix that is held quantised.
#include <algorithm>

#include "panels.h"
#include "quantized-kernel.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// A panel of a quantised matrix.
template <class Element>
class QuantizedPanel {
 public:
  // @param transposed whether the panel's inner axis is the matrix's columns, for x·Wᵀ; otherwise it is its rows, for x·W
  QuantizedPanel(const QuantizedMatrix &matrix, bool transposed)
      : matrix_(matrix), transposed_(transposed), width_(panel_format<Element>().columns) {}

  const Word<Element> *fill(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    return transposed_ ? from_columns(first_inner, inner, first_column, columns) : from_rows(first_inner, inner, first_column, columns);
  }

  bool along_inner() const { return true; }  // so few bytes are read that their order matters little
  Ahead ahead(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) const {
    const int64_t stride = matrix_.code_bytes(matrix_.layout().columns);
    if (transposed_) return {matrix_.codes(first_column, first_inner), stride, columns, matrix_.code_bytes(inner)};
    return {matrix_.codes(first_inner, first_column), stride, inner, matrix_.code_bytes(columns)};
  }

 private:
  const QuantizedMatrix &matrix_;
  const bool transposed_;
  const int64_t width_;
  AlignedWords rows_, panel_;

  const Word<Element> *from_columns(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    const int64_t words = blocks_of(word_count<Element>(inner), kColumnBlock) * kColumnBlock, whole = words * Words<Element>::kPerWord;
    auto *panel = panel_.of<Word<Element>>(words * width_);
    auto *rows = reinterpret_cast<Element *>(rows_.of(words * width_));
    for (int64_t i = 0; i < columns; i++) {
      matrix_.read(first_column + i, first_inner, inner, rows + i * whole);
      std::fill(rows + i * whole + inner, rows + (i + 1) * whole, Element{});
    }
    std::fill(rows + columns * whole, rows + width_ * whole, Element{});
    panel_products().transpose(rows, words * sizeof(uint32_t), words, width_, reinterpret_cast<uint32_t *>(panel));
    return panel;
  }

  const Word<Element> *from_rows(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    const int64_t words = word_count<Element>(inner);
    auto *rows = reinterpret_cast<Element *>(rows_.of(words * width_));
    for (int64_t i = 0; i < inner; i++) matrix_.read(first_inner + i, first_column, columns, rows + i * width_);
    if constexpr (std::is_same_v<Element, float>) {
      return rows;
    } else {
      auto *panel = panel_.of<Word<Element>>(words * width_);
      interleave_rows_into<Element>(rows, width_, inner, columns, panel, width_);
      return panel;
    }
  }
};

// X [tokens, inner] · Wᵀ, or X · W if not `transposed`. The sums are f32 and have one order, whatever is computed beside them.
class QuantizedProduct : public QuantizedKernel {
 public:
  using QuantizedKernel::QuantizedKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0);
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open_product(context, &out));
    const QuantizedMatrix matrix(layout_, context->input(1).data());
    with_element_type(x, [&](auto element) {
      using Element = decltype(element);
      multiply_by_panels<Element>(context, panel_format<Element>(), x, columns(), out, [&] { return QuantizedPanel<Element>(matrix, transposed_); });
    });
  }
};

REGISTER_OP("GraftQuantizedProduct")
    .Input("x: T")
    .Input("w: Tw")
    .Output("out: T")
    .Attr("T: {float, bfloat16}")
    .Attr("Tw: {int32, float} = DT_INT32")  // a GPU holds the words as float (gpu/dequantized-products.cc)
    .Attr("format: string")
    .Attr("rows: int")
    .Attr("columns: int")
    .Attr("transposed: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftQuantizedProduct").Device(tf::DEVICE_CPU), QuantizedProduct);

}  // namespace
}  // namespace graft
