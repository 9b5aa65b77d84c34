// What the kernels of GraftExpertProducts and GraftExpertOuter share (expert-products.cc, gpu/grouped-products.cc): their attributes and checks.
#pragma once

#include "absl/strings/str_cat.h"
#include "kernel.h"

namespace graft {

inline absl::Status invalid(const tensorflow::OpKernelContext *context, const char *message) {
  return absl::InvalidArgumentError(absl::StrCat(context->op_kernel().name(), ": ", message));
}

// Whether each row of a matrix has as many of the choices.
inline bool divides_choices(const tensorflow::Tensor &matrix, int64_t choices) {
  return matrix.dim_size(0) == 0 ? choices == 0 : choices % matrix.dim_size(0) == 0;
}

// Of each choice, its row of X [rows, in] times its expert's W: W [experts, in, out], or [experts, out, in] if `transposed`. [choices, out].
class ExpertProductsKernel : public Kernel {
 public:
  explicit ExpertProductsKernel(tensorflow::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
  }

 protected:
  bool transposed_;

  // Allocates the result.
  absl::Status open(tensorflow::OpKernelContext *context, tensorflow::Tensor **out) const {
    const tensorflow::Tensor &x = context->input(0), &w = context->input(1), &experts = context->input(2);
    if (x.dims() != 2 || w.dims() != 3 || experts.dims() != 1) return invalid(context, "the inputs are a matrix, matrices and a vector");
    const int64_t choices = experts.dim_size(0);
    if (x.dim_size(1) != w.dim_size(transposed_ ? 2 : 1) || !divides_choices(x, choices))
      return invalid(context, "the shapes of the inputs do not match");
    return context->allocate_output(0, {choices, w.dim_size(transposed_ ? 1 : 2)}, out);
  }
};

// Of each expert, Aᵀ·B over its choices in f32: A [rows, p] and B [rows, q] have a row for each choice, or for several. [experts, p, q]
class ExpertOuterKernel : public Kernel {
 public:
  explicit ExpertOuterKernel(tensorflow::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("count", &count_));
  }

 protected:
  int64_t count_;

  // Allocates the result.
  absl::Status open(tensorflow::OpKernelContext *context, tensorflow::Tensor **out) const {
    const tensorflow::Tensor &a = context->input(0), &b = context->input(1), &experts = context->input(2);
    if (a.dims() != 2 || b.dims() != 2 || experts.dims() != 1) return invalid(context, "the inputs are two matrices and a vector");
    const int64_t choices = experts.dim_size(0);
    if (!divides_choices(a, choices) || !divides_choices(b, choices)) return invalid(context, "the shapes of the inputs do not match");
    return context->allocate_output(0, {count_, a.dim_size(1), b.dim_size(1)}, out);
  }
};

}  // namespace graft
