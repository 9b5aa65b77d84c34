#include "session-hooks.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#if defined(__linux__)
#include <sys/mman.h>
#endif

// This file calls the functions that the header replaces.
#undef TF_NewSessionOptions
#undef TF_SessionRun
#undef TF_NewTensor

namespace {

// The weights of a session are in the tensors that set them. Reading them in large pages takes a tenth less time.
void ask_for_huge_pages(void *data, size_t bytes) {
#if defined(__linux__)
  constexpr uintptr_t page = 2 << 20;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page,
                  end = (reinterpret_cast<uintptr_t>(data) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void *>(begin), end - begin, MADV_HUGEPAGE);  // a wish: a kernel without them refuses
#else
  (void)data, (void)bytes;
#endif
}

}  // namespace

TF_SessionOptions *SessionOptionsFromEnvironment() {
  TF_SessionOptions *options = TF_NewSessionOptions();
  const char *hex = std::getenv("TF_SESSION_CONFIG");
  if (hex == nullptr) return options;
  std::string bytes;
  for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) bytes.push_back(static_cast<char>(std::strtol(std::string(hex, 2).c_str(), nullptr, 16)));
  TF_Status *status = TF_NewStatus();
  TF_SetConfig(options, bytes.data(), bytes.size(), status);  // a malformed one is ignored
  TF_DeleteStatus(status);
  return options;
}

void SessionRunTracedIfAsked(TF_Session *session, const TF_Buffer *, const TF_Output *inputs, TF_Tensor *const *input_values, int ninputs,
                             const TF_Output *outputs, TF_Tensor **output_values, int noutputs, const TF_Operation *const *targets, int ntargets,
                             TF_Buffer *, TF_Status *status) {
  const char *path = std::getenv("TF_SESSION_TRACE");
  if (path == nullptr || path[0] == '\0') {
    TF_SessionRun(session, nullptr, inputs, input_values, ninputs, outputs, output_values, noutputs, targets, ntargets, nullptr, status);
    return;
  }
  const char full_trace[] = {0x08, 0x03};  // RunOptions {trace_level: FULL_TRACE}
  TF_Buffer *options = TF_NewBufferFromString(full_trace, sizeof full_trace);
  TF_Buffer *metadata = TF_NewBuffer();
  TF_SessionRun(session, options, inputs, input_values, ninputs, outputs, output_values, noutputs, targets, ntargets, metadata, status);
  if (TF_GetCode(status) == TF_OK) std::ofstream(path, std::ios::binary).write(static_cast<const char *>(metadata->data), metadata->length);
  TF_DeleteBuffer(metadata);
  TF_DeleteBuffer(options);
}

TF_Tensor *CopiedTensor(TF_DataType dtype, const int64_t *shape, int rank, void *data, size_t bytes,
                        void (*deallocate)(void *data, size_t bytes, void *argument), void *argument) {
  TF_Tensor *tensor = TF_AllocateTensor(dtype, shape, rank, bytes);
  if (tensor != nullptr) ask_for_huge_pages(TF_TensorData(tensor), bytes);
  if (tensor != nullptr && bytes > 0) std::memcpy(TF_TensorData(tensor), data, bytes);
  deallocate(data, bytes, argument);
  return tensor;
}
