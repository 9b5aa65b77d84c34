// Work distributed over the threads of TensorFlow's pool.
#pragma once

#include <algorithm>
#include <functional>

#include "tensorflow/core/framework/op_kernel.h"

namespace graft {

// Calls `work` with ranges of units, from `begin` to before `end`.
// @param cycles that one unit takes, roughly
inline void parallel(tensorflow::OpKernelContext *context, int64_t units, int64_t cycles,
                     const std::function<void(int64_t begin, int64_t end)> &work) {
  const auto scheduling = tensorflow::thread::ThreadPool::SchedulingParams::Adaptive(std::max<int64_t>(cycles, 1));
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(units, scheduling, work);
}

}  // namespace graft
