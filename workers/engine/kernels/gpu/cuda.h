// What kernels for a GPU need of CUDA: the driver, the compiler NVRTC, and cuBLAS. They are opened when the first such kernel runs, so that the binding
// loads without them and set-up needs no CUDA compiler.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace graft::gpu {

// A CUstream.
using Stream = void *;

// While it lives, the CUDA context of a kernel's stream is the thread's.
class StreamScope {
 public:
  explicit StreamScope(tensorflow::OpKernelContext *context);
  ~StreamScope();
  StreamScope(const StreamScope &) = delete;
  StreamScope &operator=(const StreamScope &) = delete;
  // Whether CUDA could be opened. Nothing else may be used otherwise.
  const absl::Status &status() const { return status_; }
  Stream stream() const { return stream_; }
  // The number of the GPU.
  int device() const { return device_; }

 private:
  absl::Status status_;
  Stream stream_ = nullptr;
  int device_ = 0;
};

// Functions in CUDA C++, compiled at their first use on each GPU.
class Program {
 public:
  explicit Program(std::string source) : source_(std::move(source)) {}
  // Adds a call of a function to the stream, with at least as many threads as there are `items`.
  // @param arguments addresses of what the function takes
  absl::Status launch(const StreamScope &scope, const std::string &function, int64_t items, std::initializer_list<const void *> arguments);

 private:
  const std::string source_;
  std::mutex mutex_;
  std::map<int, void *> modules_;                            // by the GPU's number
  std::map<std::pair<int, std::string>, void *> functions_;  // by that and the function's name

  absl::Status find(int device, const std::string &function, void **found);
  absl::Status compile(int device, void **module);
};

// A matrix in row-major order. Its rows may be part of longer ones.
struct Matrix {
  const void *elements;
  int64_t rows, columns;
  int64_t row_length;  // elements from the beginning of a row to that of the next
};

// Adds to the stream: out = x·w, or x·wᵀ. All are f32 or all are bf16; sums are f32.
absl::Status multiply(const StreamScope &scope, tensorflow::DataType type, const Matrix &x, const Matrix &w, bool transposed, const Matrix &out);

}  // namespace graft::gpu
