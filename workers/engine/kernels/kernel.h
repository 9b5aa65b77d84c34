// The base of every kernel: without an instruction set to run with, none is created.
#pragma once

#include "instruction-set.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace graft {

class Kernel : public tensorflow::OpKernel {
 public:
  explicit Kernel(tensorflow::OpKernelConstruction *construction) : OpKernel(construction) { OP_REQUIRES_OK(construction, instruction_set_status()); }
};

}  // namespace graft
