// The base class of our kernels. TensorFlow does not create them when TF_GRAFT_INSTRUCTIONS is wrong, and reports why.
#pragma once

#include "instruction-set.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace graft {

class Kernel : public tensorflow::OpKernel {
 public:
  explicit Kernel(tensorflow::OpKernelConstruction *construction) : OpKernel(construction) { OP_REQUIRES_OK(construction, instruction_set_status()); }
};

}  // namespace graft
