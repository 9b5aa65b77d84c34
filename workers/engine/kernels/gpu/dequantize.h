// Reads a quantised matrix that is in a GPU's memory.
#pragma once

#include "gpu/cuda.h"
#include "quantized-matrix.h"

namespace graft::gpu {

// A part of a matrix.
struct Rectangle {
  int64_t first_row, rows, first_column, columns;
};

// Adds to the stream: the elements of a part, whose product of sides is below 2³¹, as f32 or bf16.
// @param out element (row, column) of the part is written to out[row · row_stride + column · column_stride]
absl::Status dequantize(const StreamScope &scope, const QuantizedLayout &layout, const void *memory, const Rectangle &part, tensorflow::DataType type,
                        void *out, int64_t row_stride, int64_t column_stride);

}  // namespace graft::gpu
