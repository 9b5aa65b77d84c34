#include "tile-operations.h"

namespace graft {

const TileOperations &tile_operations() {
#if defined(__x86_64__)
  static const TileOperations &best = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                                              __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")
                                          ? avx512::operations
                                      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")
                                          ? avx2::operations
                                          : baseline::operations;
  return best;
#else
  return baseline::operations;
#endif
}

}  // namespace graft
