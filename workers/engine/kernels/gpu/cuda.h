// What kernels for a GPU need of CUDA: the driver, the compiler NVRTC, and cuBLAS. They are opened when the first such kernel runs, so that the
// binding loads without them and set-up needs no CUDA compiler.
#pragma once

#include <cstdint>
#include <future>
#include <initializer_list>
#include <map>
#include <memory>
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

// Functions in CUDA C++. They are compiled for each kind of GPU, in another thread, and loaded at their first use on each GPU.
class Program {
 public:
  // Begins to compile for the first GPU.
  explicit Program(std::string source);
  // The program with this source, which is compiled once however often it is asked for.
  static std::shared_ptr<Program> shared(const std::string &source);
  // Adds a call of a function to the stream. @param arguments addresses of what the function takes
  absl::Status launch(const StreamScope &scope, const std::string &function, int64_t blocks, int64_t threads,
                      std::initializer_list<const void *> arguments);

 private:
  struct Image {
    absl::Status status;
    std::string bytes;
  };
  const std::string source_;
  std::mutex mutex_;
  std::map<std::string, std::shared_future<Image>> images_;  // by architecture
  std::map<int, void *> modules_;                            // by the GPU's number
  std::map<std::pair<int, std::string>, void *> functions_;  // by that and the function's name

  std::shared_future<Image> compiled_for(const std::string &architecture);
  absl::Status find(int device, const std::string &function, void **found);
  absl::Status load(int device, void **module);
  static Image compile(const std::string &source, const std::string &architecture);
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
