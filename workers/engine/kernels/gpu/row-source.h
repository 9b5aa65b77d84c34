// Writes a row program (row-program.h) as a kernel in CUDA C++.
#pragma once

#include <string>
#include <vector>

#include "row-program.h"

namespace graft::gpu {

enum class ElementType { kFloat, kBfloat16, kInt32, kBool };

// The most axes before the last that rows may be counted over.
constexpr int kRowAxes = 7;

// What the kernel takes, as one structure of the form
//
//   struct { long long columns; int axes, unused; unsigned sizes[8];
//            struct { const void *data; unsigned dense, steps[7]; } inputs[n]; void *outputs[m]; };
//
// with the sizes and steps of RowViews. It is called `rows` and runs with a block for each row, of a multiple of 32 threads.
struct RowArguments {
  int64_t columns;
  int32_t axes, unused;
  uint32_t sizes[kRowAxes + 1];
};
struct RowInput {
  const void *data;
  uint32_t dense, steps[kRowAxes];
};

// The kernel, which comes after kFunctions (functions.h).
// @param inputs  types of the inputs
// @param outputs types of the results
std::string row_source(const RowProgram &program, const std::vector<ElementType> &inputs, const std::vector<ElementType> &outputs);

}  // namespace graft::gpu
