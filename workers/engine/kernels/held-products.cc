// Products with a frozen matrix that is held in bf16, because the checkpoint has it so. Where x is f32 the numbers are those of the matrix in f32, in
// half the memory.
#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "panels.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// A matrix as it is in memory: [rows, columns], row by row.
struct HeldMatrix {
  const uint16_t *elements;
  int64_t columns;
};

// A panel of such a matrix, of Element's type.
template <class Element>
class HeldPanel {
 public:
  // @param transposed whether the panel's inner axis is the matrix's columns, for x·Wᵀ; otherwise it is its rows, for x·W
  // @param width columns of a panel
  HeldPanel(const HeldMatrix &matrix, bool transposed, int64_t width) : matrix_(matrix), transposed_(transposed), width_(width) {}

  const Word<Element> *fill(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    auto *panel = panel_.of<Word<Element>>(kPanelWords * width_);
    const uint16_t *from = first(first_inner, first_column);
    if (transposed_)
      from_columns(from, inner, columns, panel);
    else
      from_rows(from, inner, columns, panel);
    return panel;
  }

  bool along_inner() const { return transposed_; }
  Ahead ahead(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) const {
    const int64_t size = sizeof(uint16_t), rows = transposed_ ? columns : inner, in_row = transposed_ ? inner : columns;
    return {reinterpret_cast<const char *>(first(first_inner, first_column)), matrix_.columns * size, rows, in_row * size};
  }

 private:
  static constexpr int64_t kPerWord = sizeof(uint32_t) / sizeof(uint16_t);
  static constexpr bool kWidens = std::is_same_v<Element, float>;
  const HeldMatrix matrix_;
  const bool transposed_;
  const int64_t width_;
  AlignedWords rows_, panel_;

  const uint16_t *first(int64_t first_inner, int64_t first_column) const {
    return matrix_.elements + (transposed_ ? first_column * matrix_.columns + first_inner : first_inner * matrix_.columns + first_column);
  }

  void from_columns(const uint16_t *from, int64_t inner, int64_t columns, Word<Element> *panel) {
    int64_t stride = matrix_.columns;
    const int64_t words = blocks_of(inner, kPerWord * kColumnBlock) * kColumnBlock, whole = words * kPerWord;
    if (whole != inner || columns != width_) {
      auto *rows = reinterpret_cast<uint16_t *>(rows_.of(words * width_));
      std::fill(rows, rows + whole * width_, 0);
      for (int64_t i = 0; i < columns; i++) std::memcpy(rows + i * whole, from + i * stride, inner * sizeof(uint16_t));
      from = rows;
      stride = whole;
    }
    const auto transpose = kWidens ? panel_products().transpose_widened : panel_products().transpose;
    transpose(from, stride * sizeof(uint16_t), words, width_, reinterpret_cast<uint32_t *>(panel));
  }

  void from_rows(const uint16_t *from, int64_t inner, int64_t columns, Word<Element> *panel) {
    if constexpr (kWidens)
      panel_products().widen_rows(from, matrix_.columns, inner, columns, width_, panel);
    else
      interleave_rows_into<Element>(from, matrix_.columns, inner, columns, panel, width_);
  }
};

// X [tokens, inner] · Wᵀ, or X · W if not `transposed`.
class HeldProduct : public Kernel {
 public:
  explicit HeldProduct(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
  }
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1);
    OP_REQUIRES(context, x.dims() == 2 && w.dims() == 2 && x.dim_size(1) == w.dim_size(transposed_ ? 1 : 0),
                absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of the matrices do not match")));
    const int64_t columns = w.dim_size(transposed_ ? 0 : 1);
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {x.dim_size(0), columns}, &out));
    const HeldMatrix matrix{elements<uint16_t>(w), w.dim_size(1)};
    const auto multiply = [&](auto element, const PanelFormat &format) {
      using Element = decltype(element);
      multiply_by_panels<Element>(context, format, x, columns, out, [&] { return HeldPanel<Element>(matrix, transposed_, format.columns); });
    };
    if (x.dtype() == tf::DT_BFLOAT16)
      multiply(uint16_t{}, panel_products().bf16);
    else if (panel_products().f32_with_bf16.rows > 0)
      multiply(uint16_t{}, panel_products().f32_with_bf16);
    else
      multiply(float{}, panel_products().f32);
  }

 private:
  bool transposed_;
};

REGISTER_OP("GraftHeldProduct")
    .Input("x: T")
    .Input("w: bfloat16")
    .Output("out: T")
    .Attr("T: {float, bfloat16}")
    .Attr("transposed: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftHeldProduct").Device(tf::DEVICE_CPU), HeldProduct);

}  // namespace
}  // namespace graft
