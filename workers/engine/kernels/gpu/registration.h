// Registers kernels for GPUs: on a GPU, and on a CPU for nodes with the attribute _kernel "gpu", which tests use with an emulated CUDA.
#pragma once

#include "gpu/cuda.h"

#define REGISTER_FOR_GPU(name, kernel)                                  \
  REGISTER_KERNEL_BUILDER(name.Device(tensorflow::DEVICE_GPU), kernel); \
  REGISTER_KERNEL_BUILDER(name.Device(tensorflow::DEVICE_CPU).Label("gpu"), kernel)
