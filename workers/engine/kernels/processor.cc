#include <cstdlib>
#include <cstring>

#include "tile-operations.h"

namespace graft {
namespace {

const TileOperations &chosen() {
#if defined(__x86_64__)
  const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  // Tests ask for less than there is.
  const char *most = std::getenv("TF_GRAFT_INSTRUCTIONS");
  const bool no_avx512 = most != nullptr && std::strcmp(most, "avx512") != 0, no_avx2 = no_avx512 && std::strcmp(most, "avx2") != 0;
  if (has_avx512 && !no_avx512) return avx512::operations;
  if (has_avx2 && !no_avx2) return avx2::operations;
#endif
  return baseline::operations;
}

}  // namespace

const TileOperations &tile_operations() {
  static const TileOperations &best = chosen();
  return best;
}

}  // namespace graft
