// What the kernels of GraftAddOuter share: sum + Aᵀ·B in f32, with A [tokens, p], B [tokens, q] and sum [p, q]; without a sum, Aᵀ·B.
#pragma once

#include "absl/strings/str_cat.h"
#include "kernel.h"

namespace graft {

class OuterSumKernel : public Kernel {
 public:
  using Kernel::Kernel;

 protected:
  // Allocates the result, in the memory of the sum if nothing else reads it. @param sum what is to be added to the product, or null
  static absl::Status open(tensorflow::OpKernelContext *context, const tensorflow::Tensor **sum, tensorflow::Tensor **out) {
    const tensorflow::Tensor &a = context->input(0), &b = context->input(1);
    const std::string &name = context->op_kernel().name();
    if (a.dims() != 2 || b.dims() != 2 || a.dim_size(0) != b.dim_size(0))
      return absl::InvalidArgumentError(absl::StrCat(name, ": the inputs are not two matrices with as many rows"));
    const tensorflow::TensorShape shape({a.dim_size(1), b.dim_size(1)});
    *sum = context->num_inputs() == 3 ? &context->input(2) : nullptr;
    if (*sum == nullptr) return context->allocate_output(0, shape, out);
    if ((*sum)->shape() != shape) return absl::InvalidArgumentError(absl::StrCat(name, ": the sum has another shape"));
    return context->forward_input_or_allocate_output({2}, 0, shape, out);
  }
};

}  // namespace graft
