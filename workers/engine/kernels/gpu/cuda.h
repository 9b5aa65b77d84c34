// What kernels for a GPU need of CUDA: the driver, the compiler NVRTC, and cuBLAS. They are opened when the first such kernel runs, so that the
// binding loads without them and set-up needs no CUDA compiler.
#pragma once

#include <algorithm>
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

// Threads of a block, where nothing else is said.
constexpr int64_t kThreads = 256;
// Threads of a block that combines what is in a row: whole warps, of which each thread takes one element or several.
inline int64_t threads_for_row(int64_t columns) {
  constexpr int64_t warp = 32, most = 512;
  return std::clamp((columns + warp - 1) / warp * warp, warp, most);
}

// The name of a function that there is for both types of elements.
inline std::string for_type(const std::string &function, tensorflow::DataType type) {
  return function + (type == tensorflow::DT_BFLOAT16 ? "_bfloat16" : "_float");
}

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
  // The same with a thread for each item, and more where they fill no block.
  absl::Status launch_each(const StreamScope &scope, const std::string &function, int64_t items, std::initializer_list<const void *> arguments) {
    return launch(scope, function, (items + kThreads - 1) / kThreads, kThreads, arguments);
  }

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

// Adds to the stream: bytes of main memory are copied. They may be freed afterwards.
absl::Status copy_to_gpu(const StreamScope &scope, const void *from, void *to, size_t bytes);

// Adds to the stream: bytes of the GPU's memory are copied.
absl::Status copy_on_gpu(const StreamScope &scope, const void *from, void *to, size_t bytes);

// Adds to the stream: all bytes of the tensor become 0.
absl::Status fill_zeros(const StreamScope &scope, tensorflow::Tensor *tensor);

// out [rows, columns] = factor · x [rows, inner] · w [inner, columns] + kept · out, all row-major; or several such products.
struct Product {
  tensorflow::DataType type;  // of x and w, f32 or bf16. Sums are f32
  const void *x, *w;
  void *out;
  int64_t rows, inner, columns;
  tensorflow::DataType out_type = type;
  bool transposes_x = false, transposes_w = false;  // whether x is [inner, rows], and w [columns, inner]
  // From the beginning of a row in memory to that of the next, in elements.
  int64_t x_row = transposes_x ? rows : inner, w_row = transposes_w ? inner : columns, out_row = columns;
  float factor = 1, kept = 0;
  int64_t count = 1, x_step = 0, w_step = 0, out_step = 0;  // products, and elements from one to the next
};

// Adds the products to the stream.
absl::Status multiply(const StreamScope &scope, const Product &product);

}  // namespace graft::gpu
