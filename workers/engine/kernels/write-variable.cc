// Writes some rows of a session's variable, or zeros into all of it if no words are given. A variable is then filled in parts from JavaScript, and
// what it holds is never in memory twice: AssignVariableOp needs a tensor of the whole, and TensorFlow's own operations for parts of variables make
// every later read of the variable a copy.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

constexpr size_t kHugePage = size_t{1} << 21;

// Memory from the system, which goes back to it with the variable: TensorFlow's own allocator for oneDNN keeps all that it ever had, in regions whose
// gaps the next model's tensors do not fill. Huge pages save a page fault every 4 KiB while the weights are read.
class SystemMemory : public tf::Allocator {
 public:
  std::string Name() override { return "graft-variables"; }
  void *AllocateRaw(size_t alignment, size_t bytes) override {
    const bool is_large = bytes >= 2 * kHugePage;
    const size_t boundary = std::max(alignment, is_large ? kHugePage : tf::Allocator::kAllocatorAlignment);
    void *memory = nullptr;
    if (posix_memalign(&memory, boundary, std::max<size_t>(bytes, 1)) != 0) return nullptr;
#ifdef MADV_HUGEPAGE
    if (is_large) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);  // only advice: without huge pages there are small ones
#endif
    return memory;
  }
  void DeallocateRaw(void *memory) override { std::free(memory); }
};

// Never destroyed: variables may outlive static objects.
tf::Allocator *system_memory() {
  static tf::Allocator *const memory = new SystemMemory();
  return memory;
}

class WriteVariable : public Kernel {
 public:
  using Kernel::Kernel;

  void Compute(tf::OpKernelContext *context) override {
    const auto &name = context->input(0).scalar<tf::tstring>()();
    const auto dtype = static_cast<tf::DataType>(context->input(1).scalar<int32_t>()());
    tf::TensorShape shape;
    OP_REQUIRES_OK(context, tf::TensorShapeUtils::MakeShape(context->input(2).vec<int32_t>(), &shape));
    const int64_t first_row = context->input(3).scalar<int32_t>()();
    const tf::Tensor &words = context->input(4);

    tf::ResourceMgr *resources = context->resource_manager();
    tf::Var *variable = nullptr;
    OP_REQUIRES_OK(context, resources->LookupOrCreate<tf::Var>(resources->default_container(), name, &variable, [&](tf::Var **made) {
      *made = new tf::Var(dtype);
      return absl::OkStatus();
    }));
    tf::core::ScopedUnref unref(variable);
    tf::mutex_lock lock(*variable->mu());
    tf::Tensor *held = variable->tensor();
    if (!variable->is_initialized || held->dtype() != dtype || held->shape() != shape) {
      *held = tf::Tensor();  // freed before there is another
      *held = tf::Tensor(system_memory(), dtype, shape);
      OP_REQUIRES(context, held->IsInitialized(), absl::ResourceExhaustedError(absl::StrCat("OOM when allocating ", name, " ", shape.DebugString())));
      variable->is_initialized = true;
    } else if (!held->RefCountIsOne()) {
      // Whoever reads the old value keeps it.
      tf::Tensor copy(system_memory(), dtype, shape);
      OP_REQUIRES(context, copy.IsInitialized(), absl::ResourceExhaustedError(absl::StrCat("OOM when allocating a copy of ", name)));
      std::memcpy(copy.data(), held->data(), held->TotalBytes());
      *held = copy;
    }
    const int64_t row_bytes = held->TotalBytes() / std::max<int64_t>(shape.dim_size(0), 1);
    OP_REQUIRES(context, first_row >= 0 && first_row * row_bytes + words.TotalBytes() <= held->TotalBytes(),
                absl::InvalidArgumentError(absl::StrCat(words.TotalBytes(), " bytes from row ", first_row, " on do not fit into ", name)));
    if (words.NumElements() > 0)
      std::memcpy(static_cast<char *>(held->data()) + first_row * row_bytes, words.data(), words.TotalBytes());
    else
      std::memset(held->data(), 0, held->TotalBytes());
    context->set_output(0, context->input(3));
  }
};

REGISTER_OP("GraftWriteVariable")
    .Input("name: string")
    .Input("dtype: int32")
    .Input("shape: int32")
    .Input("first_row: int32")
    .Input("words: int32")
    .Output("written: int32")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftWriteVariable").Device(tf::DEVICE_CPU), WriteVariable);

}  // namespace
}  // namespace graft
