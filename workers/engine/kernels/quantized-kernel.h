// The base class of kernels that read a quantised matrix, whose shape and format are attributes.
#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "quantized-matrix.h"

namespace graft {

class QuantizedKernel : public Kernel {
 public:
  explicit QuantizedKernel(tensorflow::OpKernelConstruction *construction) : Kernel(construction) {
    std::string format;
    OP_REQUIRES_OK(construction, construction->GetAttr("format", &format));
    OP_REQUIRES_OK(construction, construction->GetAttr("rows", &layout_.rows));
    OP_REQUIRES_OK(construction, construction->GetAttr("columns", &layout_.columns));
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
    OP_REQUIRES(construction, quantized_format(format, &layout_.format), absl::InvalidArgumentError(absl::StrCat(format, " is no format")));
  }

 protected:
  QuantizedLayout layout_;
  bool transposed_;

  // What a product x·Wᵀ, or x·W, sums over, and its columns.
  int64_t inner() const { return transposed_ ? layout_.columns : layout_.rows; }
  int64_t columns() const { return transposed_ ? layout_.rows : layout_.columns; }

  // Allocates the result of a product of the inputs x and w.
  absl::Status open_product(tensorflow::OpKernelContext *context, tensorflow::Tensor **out) const {
    const tensorflow::Tensor &x = context->input(0);
    if (x.dims() != 2 || x.dim_size(1) != inner() || !has_bytes(context->input(1)))
      return absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of the matrices do not match"));
    return context->allocate_output(0, {x.dim_size(0), columns()}, out);
  }
  // Allocates the whole matrix, or its transpose.
  absl::Status open_whole(tensorflow::OpKernelContext *context, tensorflow::Tensor **out) const {
    if (!has_bytes(context->input(0))) return absl::InvalidArgumentError(absl::StrCat(name(), ": the matrix has fewer bytes than its shape needs"));
    return context->allocate_output(0, {inner(), columns()}, out);
  }

 private:
  bool has_bytes(const tensorflow::Tensor &w) const { return static_cast<int64_t>(w.TotalBytes()) >= layout_.bytes(); }
};

}  // namespace graft
