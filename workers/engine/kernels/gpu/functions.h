// Functions in CUDA C++ that the kernels share. A bf16 is an unsigned short there.
#pragma once

namespace graft::gpu {

extern const char *const kFunctions;

}  // namespace graft::gpu
