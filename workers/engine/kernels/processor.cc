#include <cstdlib>
#include <cstring>

#include "per-instruction-set/tile-operations.h"
#include "per-instruction-set/word-products.h"

namespace graft {
namespace {

// What was compiled for one instruction set.
struct Compiled {
  const char *name;
  bool runs;
  const TileOperations &operations;
  const WordProducts &products;
};

Compiled chosen() {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  const Compiled best_first[] = {
      {"avx512_bf16", avx512 && __builtin_cpu_supports("avx512bf16"), avx512_bf16::operations, avx512_bf16::products},
      {"avx512", avx512, avx512::operations, avx512::products},
      {"avx2", avx2, avx2::operations, avx2::products},
      {"baseline", true, baseline::operations, baseline::products},
  };
  // Tests ask for less than there is.
  const char *most = std::getenv("TF_GRAFT_INSTRUCTIONS");
  bool asked = most == nullptr;
  for (const Compiled &compiled : best_first) {
    asked = asked || std::strcmp(most, compiled.name) == 0;
    if (asked && compiled.runs) return compiled;
  }
#endif
  return {"baseline", true, baseline::operations, baseline::products};
}

const Compiled &compiled() {
  static const Compiled best = chosen();
  return best;
}

}  // namespace

const TileOperations &tile_operations() { return compiled().operations; }
const WordProducts &word_products() { return compiled().products; }

}  // namespace graft
