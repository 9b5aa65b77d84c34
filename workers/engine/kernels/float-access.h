// Tensors of f32 and bf16 read and written as floats.
#pragma once

#include <cstring>

#include "tensorflow/core/framework/tensor.h"
#include "tile-operations.h"

namespace graft {

// `count` numbers, from the `first` on.
inline void load(const tensorflow::Tensor &tensor, int64_t first, float *into, int64_t count) {
  const char *data = static_cast<const char *>(tensor.data());
  if (tensor.dtype() == tensorflow::DT_BFLOAT16)
    tile_operations().from_bf16(reinterpret_cast<const uint16_t *>(data) + first, into, count);
  else
    std::memcpy(into, data + first * 4, count * 4);
}

inline void store(const float *from, tensorflow::Tensor *tensor, int64_t first, int64_t count) {
  char *data = static_cast<char *>(tensor->data());
  if (tensor->dtype() == tensorflow::DT_BFLOAT16)
    tile_operations().to_bf16(from, reinterpret_cast<uint16_t *>(data) + first, count);
  else
    std::memcpy(data + first * 4, from, count * 4);
}

// The next multiple of a block.
inline int64_t padded(int64_t size, int64_t block = kColumnBlock) { return (size + block - 1) / block * block; }

}  // namespace graft
