#include "gpu/cuda.h"

#include <dlfcn.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tensorflow/c/c_api.h"
#include "tensorflow/core/platform/env.h"
#include "tensorflow/core/platform/threadpool.h"
#include "xla/stream_executor/stream.h"

namespace graft::gpu {
namespace {

// https://docs.nvidia.com/cuda/cuda-driver-api, https://docs.nvidia.com/cuda/nvrtc, https://docs.nvidia.com/cuda/cublas: their C interfaces are
// stable, so what is used is declared here instead of taken from headers that a machine may lack. A result other than 0 is an error.
struct Driver {
  int (*cuStreamGetCtx)(Stream, void **context);
  int (*cuCtxPushCurrent_v2)(void *context);
  int (*cuCtxPopCurrent_v2)(void **context);
  int (*cuCtxGetDevice)(int *device);
  int (*cuDeviceGetAttribute)(int *value, int attribute, int device);
  int (*cuModuleLoadData)(void **module, const void *image);
  int (*cuModuleGetFunction)(void **function, void *module, const char *name);
  int (*cuLaunchKernel)(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
                        unsigned shared_bytes, Stream stream, void **arguments, void **extra);
  int (*cuMemcpyHtoDAsync_v2)(void *to, const void *from, size_t bytes, Stream stream);
  int (*cuMemcpyDtoDAsync_v2)(void *to, const void *from, size_t bytes, Stream stream);
  int (*cuMemsetD8Async)(void *memory, unsigned char value, size_t bytes, Stream stream);
  int (*cuGetErrorString)(int error, const char **text);
};
constexpr int kComputeCapabilityMajor = 75, kComputeCapabilityMinor = 76;  // CUdevice_attribute

struct Compiler {
  int (*nvrtcCreateProgram)(void **program, const char *source, const char *name, int headers, const char *const *contents, const char *const *names);
  int (*nvrtcCompileProgram)(void *program, int count, const char *const *options);
  int (*nvrtcGetCUBINSize)(void *program, size_t *bytes);
  int (*nvrtcGetCUBIN)(void *program, char *image);
  int (*nvrtcGetProgramLogSize)(void *program, size_t *bytes);
  int (*nvrtcGetProgramLog)(void *program, char *log);
  int (*nvrtcDestroyProgram)(void **program);
  const char *(*nvrtcGetErrorString)(int error);
};

struct Blas {
  int (*cublasCreate_v2)(void **handle);
  int (*cublasSetStream_v2)(void *handle, Stream stream);
  int (*cublasGemmStridedBatchedEx)(void *handle, int transposes_a, int transposes_b, int m, int n, int k, const void *alpha, const void *a,
                                    int type_a, int lda, long long step_a, const void *b, int type_b, int ldb, long long step_b, const void *beta,
                                    void *c, int type_c, int ldc, long long step_c, int count, int compute_type, int algorithm);
};
constexpr int kAsItIs = 0, kTransposed = 1;                // cublasOperation_t
constexpr int kFloat = 0, kBfloat16 = 14;                  // cudaDataType_t
constexpr int kSumsOfFloats = 68, kDefaultAlgorithm = -1;  // cublasComputeType_t, cublasGemmAlgo_t

// Opens a library by its name, or where TensorFlow's package for CUDA has it: beside TensorFlow.
void *open_library(const std::string &name, const std::string &package) {
  void *library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  Dl_info tensorflow;
  if (library != nullptr || package.empty() || dladdr(reinterpret_cast<void *>(TF_Version), &tensorflow) == 0) return library;
  const std::string path = tensorflow.dli_fname;
  return dlopen(absl::StrCat(path.substr(0, path.rfind('/') + 1), "../nvidia/", package, "/lib/", name).c_str(), RTLD_NOW | RTLD_LOCAL);
}

// Looks functions up in a library.
class Library {
 public:
  Library(const char *name, const char *package) : name_(name), library_(open_library(name, package)) {
    if (library_ == nullptr) status_ = absl::FailedPreconditionError(absl::StrCat(name, " cannot be opened"));
  }
  template <class Function>
  void find(const char *symbol, Function *function) {
    if (!status_.ok()) return;
    *function = reinterpret_cast<Function>(dlsym(library_, symbol));
    if (*function == nullptr) status_ = absl::FailedPreconditionError(absl::StrCat(name_, " has no ", symbol));
  }
  const absl::Status &status() const { return status_; }

 private:
  const std::string name_;
  void *const library_;
  absl::Status status_;
};

struct Cuda {
  Driver driver;
  Compiler compiler;
  Blas blas;
  absl::Status status;

  Cuda() {
    Library libcuda("libcuda.so.1", "");
#define FIND(name) libcuda.find(#name, &driver.name)
    FIND(cuStreamGetCtx);
    FIND(cuCtxPushCurrent_v2);
    FIND(cuCtxPopCurrent_v2);
    FIND(cuCtxGetDevice);
    FIND(cuDeviceGetAttribute);
    FIND(cuModuleLoadData);
    FIND(cuModuleGetFunction);
    FIND(cuLaunchKernel);
    FIND(cuMemcpyHtoDAsync_v2);
    FIND(cuMemcpyDtoDAsync_v2);
    FIND(cuMemsetD8Async);
    FIND(cuGetErrorString);
#undef FIND
    Library nvrtc("libnvrtc.so.12", "cuda_nvrtc");
#define FIND(name) nvrtc.find(#name, &compiler.name)
    FIND(nvrtcCreateProgram);
    FIND(nvrtcCompileProgram);
    FIND(nvrtcGetCUBINSize);
    FIND(nvrtcGetCUBIN);
    FIND(nvrtcGetProgramLogSize);
    FIND(nvrtcGetProgramLog);
    FIND(nvrtcDestroyProgram);
    FIND(nvrtcGetErrorString);
#undef FIND
    Library cublas("libcublas.so.12", "cublas");
#define FIND(name) cublas.find(#name, &blas.name)
    FIND(cublasCreate_v2);
    FIND(cublasSetStream_v2);
    FIND(cublasGemmStridedBatchedEx);
#undef FIND
    status.Update(libcuda.status());
    status.Update(nvrtc.status());
    status.Update(cublas.status());
  }
};

const Cuda &cuda() {
  static const Cuda opened;
  return opened;
}

absl::Status checked(int result, const char *call) {
  if (result == 0) return absl::OkStatus();
  const char *text = nullptr;
  cuda().driver.cuGetErrorString(result, &text);
  return absl::InternalError(absl::StrCat(call, ": CUDA error ", result, " ", text == nullptr ? "" : text));
}

absl::Status compiled(int result, void *program) {
  if (result == 0) return absl::OkStatus();
  const Compiler &compiler = cuda().compiler;
  size_t bytes = 0;
  std::string log;
  if (compiler.nvrtcGetProgramLogSize(program, &bytes) == 0 && bytes > 0) {
    log.resize(bytes);
    compiler.nvrtcGetProgramLog(program, log.data());
  }
  return absl::InternalError(absl::StrCat("NVRTC: ", compiler.nvrtcGetErrorString(result), " ", log.c_str()));
}

// @return the option for NVRTC
std::string architecture_of(int device) {
  int major = 0, minor = 0;
  cuda().driver.cuDeviceGetAttribute(&major, kComputeCapabilityMajor, device);
  cuda().driver.cuDeviceGetAttribute(&minor, kComputeCapabilityMinor, device);
  return absl::StrCat("--gpu-architecture=sm_", major, minor);
}

}  // namespace

StreamScope::StreamScope(tensorflow::OpKernelContext *context) : status_(cuda().status) {
  if (!status_.ok()) return;
  const Driver &driver = cuda().driver;
  void *of_stream = nullptr;
  if (context->op_device_context() != nullptr) stream_ = context->op_device_context()->stream()->platform_specific_handle().stream;
  status_ = checked(driver.cuStreamGetCtx(stream_, &of_stream), "cuStreamGetCtx");
  if (status_.ok()) status_ = checked(driver.cuCtxPushCurrent_v2(of_stream), "cuCtxPushCurrent");
  if (status_.ok()) driver.cuCtxGetDevice(&device_);
}

StreamScope::~StreamScope() {
  void *popped = nullptr;
  if (status_.ok()) cuda().driver.cuCtxPopCurrent_v2(&popped);
}

Program::Program(std::string source) : source_(std::move(source)) {
  if (cuda().status.ok()) compiled_for(architecture_of(0));
}

std::shared_ptr<Program> Program::shared(const std::string &source) {
  static std::mutex mutex;
  static auto &programs = *new std::map<std::string, std::shared_ptr<Program>>;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<Program> &program = programs[source];
  if (program == nullptr) program = std::make_shared<Program>(source);
  return program;
}

absl::Status Program::launch(const StreamScope &scope, const std::string &function, int64_t blocks, int64_t threads,
                             std::initializer_list<const void *> arguments) {
  void *found = nullptr;
  if (blocks == 0) return absl::OkStatus();
  if (const absl::Status status = find(scope.device(), function, &found); !status.ok()) return status;
  std::vector<void *> addresses;
  for (const void *argument : arguments) addresses.push_back(const_cast<void *>(argument));
  return checked(cuda().driver.cuLaunchKernel(found, static_cast<unsigned>(blocks), 1, 1, static_cast<unsigned>(threads), 1, 1, 0, scope.stream(),
                                              addresses.data(), nullptr),
                 "cuLaunchKernel");
}

absl::Status Program::find(int device, const std::string &function, void **found) {
  const std::lock_guard<std::mutex> lock(mutex_);
  void *&module = modules_[device], *&known = functions_[{device, function}];
  if (module == nullptr) {
    if (const absl::Status status = load(device, &module); !status.ok()) return status;
  }
  if (known == nullptr) {
    const absl::Status status = checked(cuda().driver.cuModuleGetFunction(&known, module, function.c_str()), "cuModuleGetFunction");
    if (!status.ok()) return status;
  }
  *found = known;
  return absl::OkStatus();
}

absl::Status Program::load(int device, void **module) {
  const Image &image = compiled_for(architecture_of(device)).get();
  return image.status.ok() ? checked(cuda().driver.cuModuleLoadData(module, image.bytes.data()), "cuModuleLoadData") : image.status;
}

std::shared_future<Program::Image> Program::compiled_for(const std::string &architecture) {
  // Never destroyed: at the process's end its threads may still compile.
  static auto &threads =
      *new tensorflow::thread::ThreadPool(tensorflow::Env::Default(), "graft_nvrtc", std::max(1u, std::thread::hardware_concurrency()));
  std::shared_future<Image> &image = images_[architecture];
  if (image.valid()) return image;
  const auto promise = std::make_shared<std::promise<Image>>();
  image = promise->get_future();
  threads.Schedule([promise, source = source_, architecture] { promise->set_value(compile(source, architecture)); });
  return image;
}

Program::Image Program::compile(const std::string &source, const std::string &architecture) {
  const Compiler &compiler = cuda().compiler;
  const char *options[] = {architecture.c_str(), "--std=c++17"};
  void *program = nullptr;
  Image image;
  image.status = compiled(compiler.nvrtcCreateProgram(&program, source.c_str(), "graft.cu", 0, nullptr, nullptr), program);
  if (!image.status.ok()) return image;
  image.status.Update(compiled(compiler.nvrtcCompileProgram(program, 2, options), program));
  size_t bytes = 0;
  if (image.status.ok()) image.status.Update(compiled(compiler.nvrtcGetCUBINSize(program, &bytes), program));
  image.bytes.resize(bytes);
  if (image.status.ok()) image.status.Update(compiled(compiler.nvrtcGetCUBIN(program, image.bytes.data()), program));
  compiler.nvrtcDestroyProgram(&program);
  return image;
}

absl::Status copy_to_gpu(const StreamScope &scope, const void *from, void *to, size_t bytes) {
  return checked(cuda().driver.cuMemcpyHtoDAsync_v2(to, from, bytes, scope.stream()), "cuMemcpyHtoDAsync");  // pageable memory is copied at once
}

absl::Status copy_on_gpu(const StreamScope &scope, const void *from, void *to, size_t bytes) {
  return checked(cuda().driver.cuMemcpyDtoDAsync_v2(to, from, bytes, scope.stream()), "cuMemcpyDtoDAsync");
}

absl::Status fill_zeros(const StreamScope &scope, tensorflow::Tensor *tensor) {
  return checked(cuda().driver.cuMemsetD8Async(tensor->data(), 0, tensor->TotalBytes(), scope.stream()), "cuMemsetD8Async");
}

absl::Status multiply(const StreamScope &scope, const Product &product) {
  static std::mutex mutex;
  static std::map<int, void *> handles;  // by the GPU's number
  if (product.rows == 0 || product.columns == 0) return absl::OkStatus();
  const std::lock_guard<std::mutex> lock(mutex);
  const Blas &blas = cuda().blas;
  void *&handle = handles[scope.device()];
  const auto done = [](int result, const char *call) {
    return result == 0 ? absl::OkStatus() : absl::InternalError(absl::StrCat(call, ": cuBLAS error ", result));
  };
  if (handle == nullptr) {
    if (const absl::Status status = done(blas.cublasCreate_v2(&handle), "cublasCreate"); !status.ok()) return status;
  }
  if (const absl::Status status = done(blas.cublasSetStream_v2(handle, scope.stream()), "cublasSetStream"); !status.ok()) return status;
  // cuBLAS reads matrices column by column, so it sees each transposed: outᵀ = wᵀ·xᵀ.
  const auto type_of = [](tensorflow::DataType type) { return type == tensorflow::DT_BFLOAT16 ? kBfloat16 : kFloat; };
  const auto transposition = [](bool transposes) { return transposes ? kTransposed : kAsItIs; };
  return done(blas.cublasGemmStridedBatchedEx(handle, transposition(product.transposes_w), transposition(product.transposes_x),
                                              static_cast<int>(product.columns), static_cast<int>(product.rows), static_cast<int>(product.inner),
                                              &product.factor, product.w, type_of(product.type), static_cast<int>(product.w_row), product.w_step,
                                              product.x, type_of(product.type), static_cast<int>(product.x_row), product.x_step, &product.kept,
                                              product.out, type_of(product.out_type), static_cast<int>(product.out_row), product.out_step,
                                              static_cast<int>(product.count), kSumsOfFloats, kDefaultAlgorithm),
              "cublasGemmStridedBatchedEx");
}

}  // namespace graft::gpu
