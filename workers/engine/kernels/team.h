// Threads that share the work of one kernel after another. Between two kernels they wait awake, because waking a thread takes longer than many a
// kernel of one token: TensorFlow's own pool sends its threads to sleep and waits for them asleep.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace graft {

class Team {
 public:
  // The team of this process. It never ends.
  // @param threads of the first one who asks: how many work on a kernel, the asking one included
  static Team &of_process(int threads);

  int threads() const { return threads_; }

  // Calls `work` with ranges of units, from `begin` to before `end`, on this thread and on those of the team that are awake or wake up in time.
  // @param chunk units in a range
  // @return false, without having done anything, if the team works for another kernel
  bool share(int64_t units, int64_t chunk, const std::function<void(int64_t begin, int64_t end)> &work);

 private:
  explicit Team(int threads);
  // Works on one range. @return whether there was one
  bool take();
  void help();
  bool has_work() const;

  const int threads_;
  std::mutex asking_;
  // The number of the job in the upper half, the next unit in the lower. While a job is described, no unit is left.
  alignas(64) std::atomic<uint64_t> next_{0};
  alignas(64) std::atomic<int64_t> done_{0};
  // The job. A range is taken only if the job is still the one whose description was read.
  alignas(64) std::atomic<int64_t> units_{0};
  std::atomic<int64_t> chunk_{1};
  std::atomic<const std::function<void(int64_t, int64_t)> *> work_{nullptr};

  std::atomic<int> asleep_{0};
  std::mutex sleep_;
  std::condition_variable wake_;
};

}  // namespace graft
