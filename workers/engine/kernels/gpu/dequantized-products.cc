// The kernels of quantize.cc and quantized-products.cc that read a quantised matrix, for a GPU. There it is held as f32, in which it has the same
// bytes: TensorFlow keeps int32 in main memory.
#include <algorithm>

#include "gpu/dequantize.h"
#include "gpu/registration.h"
#include "quantized-kernel.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

// The most elements of a matrix that are in memory as numbers: 32 MiB of bf16.
constexpr int64_t kPanelElements = 16 << 20;

// x·Wᵀ by rows of W, or x·W by its columns, of which a panel is dequantised at a time.
class QuantizedProduct : public QuantizedKernel {
 public:
  using QuantizedKernel::QuantizedKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1);
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open_product(context, &out));
    const int64_t inner = this->inner(), columns = this->columns();
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    const int64_t in_panel = std::min(columns, std::max<int64_t>(1, kPanelElements / inner)), bytes = tf::DataTypeSize(x.dtype());
    tf::Tensor panel;
    OP_REQUIRES_OK(context, context->allocate_temp(x.dtype(), {in_panel, inner}, &panel));
    for (int64_t first = 0; first < columns; first += in_panel) {
      const int64_t count = std::min(in_panel, columns - first);
      const Rectangle part = transposed_ ? Rectangle{first, count, 0, inner} : Rectangle{0, inner, first, count};
      OP_REQUIRES_OK(context, dequantize(scope, layout_, w.data(), part, x.dtype(), panel.data(), part.columns, 1));
      Product product{x.dtype(), x.data(), panel.data(), static_cast<char *>(out->data()) + first * bytes, x.dim_size(0), inner, count};
      product.transposes_w = transposed_;
      product.w_row = part.columns;
      product.out_row = columns;
      OP_REQUIRES_OK(context, multiply(scope, product));
    }
  }
};

// The whole matrix in f32, or its transpose.
class Dequantize : public QuantizedKernel {
 public:
  using QuantizedKernel::QuantizedKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &w = context->input(0);
    const int64_t rows = layout_.rows, columns = layout_.columns;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open_whole(context, &out));
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    const int64_t row_stride = transposed_ ? 1 : columns, column_stride = transposed_ ? rows : 1;
    const int64_t rows_at_once = std::max<int64_t>(1, kPanelElements / columns);
    for (int64_t first = 0; first < rows; first += rows_at_once) {
      const Rectangle part{first, std::min(rows_at_once, rows - first), 0, columns};
      float *to = out->flat<float>().data() + first * row_stride;
      OP_REQUIRES_OK(context, dequantize(scope, layout_, w.data(), part, tf::DT_FLOAT, to, row_stride, column_stride));
    }
  }
};

REGISTER_FOR_GPU(Name("GraftQuantizedProduct").TypeConstraint<float>("Tw"), QuantizedProduct);
REGISTER_FOR_GPU(Name("GraftDequantize").TypeConstraint<float>("Tw"), Dequantize);

}  // namespace
}  // namespace graft::gpu
