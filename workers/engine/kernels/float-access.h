// Tensors read and written as floats.
#pragma once

#include <cstring>

#include "per-instruction-set/tile-operations.h"
#include "tensorflow/core/framework/tensor.h"

namespace graft {

// Reads `count` elements of f32, bf16, int32 or bool, starting with element `first`.
inline void load(const void *data, tensorflow::DataType dtype, int64_t first, float *into, int64_t count) {
  switch (dtype) {
    case tensorflow::DT_FLOAT:
      std::memcpy(into, static_cast<const float *>(data) + first, count * sizeof(float));
      break;
    case tensorflow::DT_BFLOAT16:
      tile_operations().from_bf16(static_cast<const uint16_t *>(data) + first, into, count);
      break;
    case tensorflow::DT_INT32:
      for (int64_t i = 0; i < count; i++) into[i] = static_cast<float>(static_cast<const int32_t *>(data)[first + i]);
      break;
    default:
      for (int64_t i = 0; i < count; i++) into[i] = static_cast<const char *>(data)[first + i] != 0 ? 1.0f : 0.0f;
  }
}

inline void load(const tensorflow::Tensor &tensor, int64_t first, float *into, int64_t count) {
  load(tensor.data(), tensor.dtype(), first, into, count);
}

// Writes `count` elements in the tensor's type, starting with element `first`.
inline void store(const float *from, tensorflow::Tensor *tensor, int64_t first, int64_t count) {
  switch (tensor->dtype()) {
    case tensorflow::DT_FLOAT: {
      float *into = static_cast<float *>(tensor->data()) + first;
      if (from != into) std::memcpy(into, from, count * sizeof(float));
      break;
    }
    case tensorflow::DT_BFLOAT16:
      tile_operations().to_bf16(from, static_cast<uint16_t *>(tensor->data()) + first, count);
      break;
    case tensorflow::DT_INT32:
      for (int64_t i = 0; i < count; i++) static_cast<int32_t *>(tensor->data())[first + i] = static_cast<int32_t>(from[i]);
      break;
    default:
      for (int64_t i = 0; i < count; i++) static_cast<char *>(tensor->data())[first + i] = from[i] != 0.0f;
  }
}

}  // namespace graft
