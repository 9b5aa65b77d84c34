// Quantises matrices, and dequantises whole ones where a product will not do.
#include <cstring>
#include <vector>

#include "parallel.h"
#include "quantized-kernel.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// W [rows, columns] in f32, to the bytes of a quantised matrix as int32.
class Quantize : public Kernel {
 public:
  explicit Quantize(tf::OpKernelConstruction *construction) : Kernel(construction) {
    std::string format;
    OP_REQUIRES_OK(construction, construction->GetAttr("format", &format));
    OP_REQUIRES(construction, quantized_format(format, &format_), absl::InvalidArgumentError(absl::StrCat(format, " is no format")));
  }
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &w = context->input(0);
    OP_REQUIRES(context, w.dims() == 2, absl::InvalidArgumentError(absl::StrCat(name(), ": only matrices are quantised")));
    const QuantizedLayout layout{format_, w.dim_size(0), w.dim_size(1)};
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {layout.bytes() / static_cast<int64_t>(sizeof(int32_t))}, &out));
    std::memset(out->data(), 0, out->TotalBytes());
    quantize(w.flat<float>().data(), layout, out->data(),
             [&](int64_t units, int64_t cycles, const std::function<void(int64_t, int64_t)> &work) { parallel(context, units, cycles, work); });
  }

 private:
  QuantizedFormat format_;
};

// The whole matrix in f32, or its transpose.
class Dequantize : public QuantizedKernel {
 public:
  using QuantizedKernel::QuantizedKernel;
  void Compute(tf::OpKernelContext *context) override {
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open_whole(context, &out));
    const QuantizedMatrix matrix(layout_, context->input(0).data());
    float *to = out->flat<float>().data();
    parallel(context, layout_.rows, layout_.columns, [&](int64_t begin, int64_t end) {
      std::vector<float> values(transposed_ ? layout_.columns : 0);
      for (int64_t row = begin; row < end; row++) {
        matrix.read(row, 0, layout_.columns, transposed_ ? values.data() : to + row * layout_.columns);
        for (size_t i = 0; i < values.size(); i++) to[i * layout_.rows + row] = values[i];
      }
    });
  }
};

REGISTER_OP("GraftQuantize").Input("w: float").Output("out: int32").Attr("format: string").SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftQuantize").Device(tf::DEVICE_CPU), Quantize);

REGISTER_OP("GraftDequantize")
    .Input("w: Tw")
    .Output("out: float")
    .Attr("Tw: {int32, float} = DT_INT32")  // a GPU holds the words as float (gpu/dequantized-products.cc)
    .Attr("format: string")
    .Attr("rows: int")
    .Attr("columns: int")
    .Attr("transposed: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftDequantize").Device(tf::DEVICE_CPU), Dequantize);

}  // namespace
}  // namespace graft
