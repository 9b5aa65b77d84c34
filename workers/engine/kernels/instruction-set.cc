#include "instruction-set.h"

#include <cstdlib>
#include <string>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/types.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

struct Choice {
  const InstructionSet &set;
  absl::Status status;
};

#if defined(__x86_64__)
// Whether this process may use the processor's matrix unit. Linux gives its registers only to processes that ask for them.
bool has_amx() {
#if defined(__linux__)
  constexpr unsigned bf16 = 1u << 22, tile = 1u << 24;
  constexpr long request_permission = 0x1023, tile_data = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & bf16) && (d & tile) && syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

Choice choose() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  const bool has_bf16 = avx512 && __builtin_cpu_supports("avx512bf16");
#endif
  static const InstructionSet best_first[] = {
#if defined(__x86_64__)
      {"amx", has_bf16 && has_amx(), amx::operations, amx::products, amx::row_products, amx::delta_steps, amx::adam_blocks, amx::quantized_rows,
       amx::panel_products, amx::state_chunks},
      {"avx512_bf16", has_bf16, avx512_bf16::operations, avx512_bf16::products, avx512_bf16::row_products, avx512_bf16::delta_steps,
       avx512_bf16::adam_blocks, avx512_bf16::quantized_rows, avx512_bf16::panel_products, avx512_bf16::state_chunks},
      {"avx512", avx512, avx512::operations, avx512::products, avx512::row_products, avx512::delta_steps, avx512::adam_blocks, avx512::quantized_rows,
       avx512::panel_products, avx512::state_chunks},
      {"avx2", avx2, avx2::operations, avx2::products, avx2::row_products, avx2::delta_steps, avx2::adam_blocks, avx2::quantized_rows,
       avx2::panel_products, avx2::state_chunks},
#endif
      {"baseline", true, baseline::operations, baseline::products, baseline::row_products, baseline::delta_steps, baseline::adam_blocks,
       baseline::quantized_rows, baseline::panel_products, baseline::state_chunks},
  };
  const char *variable = std::getenv("TF_GRAFT_INSTRUCTIONS");
  const std::string wanted = variable == nullptr ? "" : variable;
  const InstructionSet *best = nullptr;
  std::string runnable;
  for (const InstructionSet &set : best_first) {
    if (!set.runs_here) continue;
    if (set.name == wanted) return {set, absl::OkStatus()};
    if (best == nullptr) best = &set;
    absl::StrAppend(&runnable, runnable.empty() ? "" : ", ", set.name);
  }
  if (wanted.empty()) return {*best, absl::OkStatus()};
  return {*best, absl::InvalidArgumentError(absl::StrCat("TF_GRAFT_INSTRUCTIONS is \"", wanted, "\"; this processor runs ", runnable))};
}

const Choice &choice() {
  static const Choice made = choose();
  return made;
}

// Tells JavaScript which instruction set runs.
class InstructionSetName : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    tf::Tensor *name = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {}, &name));
    name->scalar<tf::tstring>()() = instruction_set().name;
  }
};

REGISTER_OP("GraftInstructionSet").Output("name: string").SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftInstructionSet").Device(tf::DEVICE_CPU), InstructionSetName);

}  // namespace

const InstructionSet &instruction_set() { return choice().set; }
const absl::Status &instruction_set_status() { return choice().status; }

const TileOperations &tile_operations() { return instruction_set().tile_operations; }
const WordProducts &word_products() { return instruction_set().word_products; }
const RowProducts &row_products() { return instruction_set().row_products; }
const DeltaSteps &delta_steps() { return instruction_set().delta_steps; }
const AdamBlocks &adam_blocks() { return instruction_set().adam_blocks; }
const QuantizedRows &quantized_rows() { return instruction_set().quantized_rows; }
const PanelProducts &panel_products() { return instruction_set().panel_products; }
const StateChunks &state_chunks() { return instruction_set().state_chunks; }

}  // namespace graft
