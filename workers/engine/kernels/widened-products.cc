// f32 products with a frozen matrix that is held in bf16, because the checkpoint has it so: the numbers are those of the matrix in f32, in half the
// memory.
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

// A panel of such a matrix in f32.
class WidenedPanel {
 public:
  // @param transposed whether the panel's inner axis is the matrix's columns, for x·Wᵀ; otherwise it is its rows, for x·W
  WidenedPanel(const HeldMatrix &matrix, bool transposed) : matrix_(matrix), transposed_(transposed) {}

  const float *fill(int64_t first_inner, int64_t inner, int64_t first_column, int64_t columns) {
    float *panel = panel_.of(kPanelWords * kPanelColumns);
    if (transposed_)
      from_columns(matrix_.elements + first_column * matrix_.columns + first_inner, inner, columns, panel);
    else
      panel_products().widen_rows(matrix_.elements + first_inner * matrix_.columns + first_column, matrix_.columns, inner, columns, panel);
    return panel;
  }

 private:
  static constexpr int64_t kPerWord = sizeof(float) / sizeof(uint16_t);
  const HeldMatrix matrix_;
  const bool transposed_;
  AlignedWords rows_, panel_;

  void from_columns(const uint16_t *from, int64_t inner, int64_t columns, float *panel) {
    int64_t stride = matrix_.columns;
    const int64_t words = blocks_of(inner, kPerWord * kColumnBlock) * kColumnBlock, whole = words * kPerWord;
    if (whole != inner || columns != kPanelColumns) {
      auto *rows = reinterpret_cast<uint16_t *>(rows_.of(words * kPanelColumns));
      std::fill(rows, rows + whole * kPanelColumns, 0);
      for (int64_t i = 0; i < columns; i++) std::memcpy(rows + i * whole, from + i * stride, inner * sizeof(uint16_t));
      from = rows;
      stride = whole;
    }
    panel_products().transpose_widened(from, stride * sizeof(uint16_t), words, reinterpret_cast<uint32_t *>(panel));
  }
};

// X [tokens, inner] · Wᵀ, or X · W if not `transposed`.
class WidenedProduct : public Kernel {
 public:
  explicit WidenedProduct(tf::OpKernelConstruction *construction) : Kernel(construction) {
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
    multiply_by_panels<float>(context, x, columns, out, [&] { return WidenedPanel(matrix, transposed_); });
  }

 private:
  bool transposed_;
};

REGISTER_OP("GraftWidenedProduct").Input("x: float").Input("w: bfloat16").Output("out: float").Attr("transposed: bool").SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftWidenedProduct").Device(tf::DEVICE_CPU), WidenedProduct);

}  // namespace
}  // namespace graft
