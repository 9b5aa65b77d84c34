// CUDA's driver, NVRTC and cuBLAS on a CPU, as far as kernels/gpu/cuda.cc calls them: with it, tests run the kernels for GPUs on any machine. The C++
// compiler stands in for NVRTC's. The threads of a block take turns, each until it waits for the others.
#include <dlfcn.h>
#include <ucontext.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <regex>
#include <string>
#include <vector>

namespace {

// What the compiled source sees of CUDA. Its shared memory is static, since one block runs at a time. It includes no headers, which take longer to
// compile than the source does.
const char *const kPrelude = R"cuda(
#define __device__
#define __global__
#define __shared__ static
extern "C" {
float sqrtf(float), expf(float), tanhf(float), logf(float);
struct Index { unsigned x; } threadIdx, blockIdx, blockDim;
void (*wait_for_block)();
float *lanes;
}
static void __syncthreads() { wait_for_block(); }
static float __shfl_xor_sync(unsigned, float x, int distance) {
  lanes[threadIdx.x] = x;
  wait_for_block();
  const float other = lanes[threadIdx.x ^ distance];
  wait_for_block();
  return other;
}
template <class To, class From> static To bits_of(From x) { To y; __builtin_memcpy(&y, &x, sizeof y); return y; }
static float __int_as_float(int x) { return bits_of<float>(x); }
static float __uint_as_float(unsigned x) { return bits_of<float>(x); }
static unsigned __float_as_uint(float x) { return bits_of<unsigned>(x); }
static float __fmul_rn(float a, float b) { return a * b; }
static float __fadd_rn(float a, float b) { return a + b; }
template <int count, int... numbers> struct Numbers : Numbers<count - 1, count - 1, numbers...> {};
template <int... numbers> struct Numbers<0, numbers...> {};
template <class... Parameters, int... numbers>
static void call_with(void (*function)(Parameters...), void **arguments, Numbers<0, numbers...>) {
  function(*static_cast<Parameters *>(arguments[numbers])...);
}
template <class... Parameters> static void call(void (*function)(Parameters...), void **arguments) {
  call_with(function, arguments, Numbers<sizeof...(Parameters)>());
}
)cuda";

struct Program {
  std::string source, image, log;
};

struct Function {
  void (*call)(void **arguments);
  struct Index {
    unsigned x;
  } *thread, *block, *size;
  void (**wait)();
  float **lanes;
};

struct Thread {
  ucontext_t context;
  std::vector<char> stack;
  bool done;
};
std::vector<Thread> threads;
ucontext_t scheduler;
Thread *current;
std::function<void()> body;

void wait_for_block() { swapcontext(&current->context, &scheduler); }
void run_thread() {
  body();
  current->done = true;
}

void run_block(const Function &function, unsigned size, void **arguments) {
  threads.resize(size);
  body = [&] { function.call(arguments); };
  for (Thread &thread : threads) {
    thread.done = false;
    thread.stack.resize(64 << 10);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.data();
    thread.context.uc_stack.ss_size = thread.stack.size();
    thread.context.uc_link = &scheduler;
    makecontext(&thread.context, run_thread, 0);
  }
  for (bool running = true; running;) {
    running = false;
    for (unsigned i = 0; i < size; i++) {
      if (threads[i].done) continue;
      running = true;
      current = &threads[i];
      function.thread->x = i;
      swapcontext(&scheduler, &threads[i].context);
    }
  }
}

float read(const void *elements, int type, int64_t at) {
  if (type == 0) return static_cast<const float *>(elements)[at];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t *>(elements)[at]) << 16;
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

void write(void *elements, int type, int64_t at, float x) {
  if (type == 0) {
    static_cast<float *>(elements)[at] = x;
    return;
  }
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  static_cast<uint16_t *>(elements)[at] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

extern "C" {

int cuStreamGetCtx(void *, void **context) {
  *context = nullptr;
  return 0;
}
int cuCtxPushCurrent_v2(void *) { return 0; }
int cuCtxPopCurrent_v2(void **) { return 0; }
int cuCtxGetDevice(int *device) { return *device = 0; }
int cuDeviceGetAttribute(int *value, int, int) {
  *value = 9;
  return 0;
}
int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t bytes, void *) {
  std::memcpy(to, from, bytes);
  return 0;
}
int cuMemcpyDtoDAsync_v2(void *to, const void *from, size_t bytes, void *) {
  std::memcpy(to, from, bytes);
  return 0;
}
int cuMemsetD8Async(void *memory, unsigned char value, size_t bytes, void *) {
  std::memset(memory, value, bytes);
  return 0;
}
int cuGetErrorString(int, const char **text) {
  *text = "the emulated CUDA failed";
  return 0;
}
int cuModuleLoadData(void **module, const void *image) {
  *module = dlopen(static_cast<const char *>(image), RTLD_NOW | RTLD_LOCAL);
  return *module == nullptr ? 1 : 0;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
  const auto find = [&](const std::string &symbol) { return dlsym(module, symbol.c_str()); };
  auto *found = new Function;
  found->call = reinterpret_cast<void (*)(void **)>(find(std::string("call_") + name));
  found->thread = static_cast<Function::Index *>(find("threadIdx"));
  found->block = static_cast<Function::Index *>(find("blockIdx"));
  found->size = static_cast<Function::Index *>(find("blockDim"));
  found->wait = static_cast<void (**)()>(find("wait_for_block"));
  found->lanes = static_cast<float **>(find("lanes"));
  *function = found;
  return found->call == nullptr ? 1 : 0;
}
int cuLaunchKernel(void *given, unsigned blocks, unsigned, unsigned, unsigned size, unsigned, unsigned, unsigned, void *, void **arguments, void **) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto &function = *static_cast<Function *>(given);
  std::vector<float> lanes(size);
  *function.lanes = lanes.data();
  *function.wait = wait_for_block;
  function.size->x = size;
  for (unsigned block = 0; block < blocks; block++) {
    function.block->x = block;
    run_block(function, size, arguments);
  }
  return 0;
}

int nvrtcCreateProgram(void **program, const char *source, const char *, int, const char *const *, const char *const *) {
  *program = new Program{source, "", ""};
  return 0;
}
int nvrtcCompileProgram(void *given, int, const char *const *) {
  auto &program = *static_cast<Program *>(given);
  const std::regex kernel("extern \"C\" __global__ void (\\w+)");
  std::string calls;
  for (std::sregex_iterator found(program.source.begin(), program.source.end(), kernel), end; found != end; ++found) {
    const std::string name = (*found)[1];
    calls += "extern \"C\" void call_" + name + "(void **arguments) { call(&" + name + ", arguments); }\n";
  }
  static std::atomic<int> programs{0};
  const std::string path = std::string(std::getenv("EMULATED_CUDA_DIR")) + "/" + std::to_string(programs++);
  const std::string file = path + ".cc", log = path + ".log";
  program.image = path + ".so";
  std::ofstream(file) << kPrelude << program.source << calls;
  const char *compiler = std::getenv("CXX");
  const std::string command = std::string(compiler == nullptr ? "c++" : compiler) + " -std=c++17 -O1 -ffp-contract=off -w -shared -fPIC " + file +
                              " -o " + program.image + " 2> " + log;
  if (std::system(command.c_str()) == 0) return 0;
  std::ifstream messages(log);
  program.log.assign(std::istreambuf_iterator<char>(messages), {});
  return 1;
}
int nvrtcGetCUBINSize(void *program, size_t *bytes) {
  *bytes = static_cast<Program *>(program)->image.size() + 1;
  return 0;
}
int nvrtcGetCUBIN(void *program, char *image) {
  std::strcpy(image, static_cast<Program *>(program)->image.c_str());
  return 0;
}
int nvrtcGetProgramLogSize(void *program, size_t *bytes) {
  *bytes = static_cast<Program *>(program)->log.size() + 1;
  return 0;
}
int nvrtcGetProgramLog(void *program, char *log) {
  std::strcpy(log, static_cast<Program *>(program)->log.c_str());
  return 0;
}
int nvrtcDestroyProgram(void **program) {
  delete static_cast<Program *>(*program);
  return 0;
}
const char *nvrtcGetErrorString(int) { return "the compiler failed"; }

int cublasCreate_v2(void **handle) {
  *handle = handle;
  return 0;
}
int cublasSetStream_v2(void *, void *) { return 0; }
int cublasGemmStridedBatchedEx(void *, int transposes_a, int transposes_b, int m, int n, int k, const void *alpha, const void *a, int type_a, int lda,
                               long long step_a, const void *b, int type_b, int ldb, long long step_b, const void *beta, void *c, int type_c, int ldc,
                               long long step_c, int count, int, int) {
  const float factor = *static_cast<const float *>(alpha), kept = *static_cast<const float *>(beta);
  for (int64_t batch = 0; batch < count; batch++)
    for (int64_t i = 0; i < m; i++)
      for (int64_t j = 0; j < n; j++) {
        float sum = 0;
        for (int64_t l = 0; l < k; l++)
          sum += read(a, type_a, batch * step_a + (transposes_a == 0 ? i + l * lda : l + i * lda)) *
                 read(b, type_b, batch * step_b + (transposes_b == 0 ? l + j * ldb : j + l * ldb));
        const int64_t at = batch * step_c + i + j * ldc;
        write(c, type_c, at, factor * sum + (kept == 0 ? 0 : kept * read(c, type_c, at)));
      }
  return 0;
}

}  // extern "C"
