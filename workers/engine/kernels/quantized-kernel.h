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
};

}  // namespace graft
