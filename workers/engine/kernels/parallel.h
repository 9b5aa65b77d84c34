// Work distributed over threads.
#pragma once

#include <algorithm>
#include <functional>

#include "team.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace graft {

// Work that takes fewer cycles is not worth sharing.
constexpr int64_t kSharedCycles = 10000;
// Ranges for each thread of a team: where another process takes a processor for a while, the other threads do what is left.
constexpr int64_t kRangesPerThread = 4;

// Calls `work` with ranges of units, from `begin` to before `end`: on the threads of TensorFlow's pool, or on a team's where a session runs all its
// operations on one thread.
// @param cycles that one unit takes, roughly
inline void parallel(tensorflow::OpKernelContext *context, int64_t units, int64_t cycles,
                     const std::function<void(int64_t begin, int64_t end)> &work) {
  const auto &pool = *context->device()->tensorflow_cpu_worker_threads();
  cycles = std::max<int64_t>(cycles, 1);
  if (context->run_all_kernels_inline()) {
    if (units <= 1 || pool.num_threads <= 1 || units * cycles < kSharedCycles) {
      if (units > 0) work(0, units);
      return;
    }
    Team &team = Team::of_process(pool.num_threads);
    const int64_t chunk = std::max(units / (team.threads() * kRangesPerThread), std::max<int64_t>(kSharedCycles / 2 / cycles, 1));
    if (team.share(units, chunk, work)) return;
  }
  pool.workers->ParallelFor(units, tensorflow::thread::ThreadPool::SchedulingParams::Adaptive(cycles), work);
}

}  // namespace graft
