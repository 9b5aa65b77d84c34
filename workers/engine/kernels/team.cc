#include "team.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace graft {
namespace {

using Clock = std::chrono::steady_clock;

// How long a thread waits awake for the next kernel: longer than what is between two kernels, shorter than what is between two tokens' passes if
// nothing is asked for.
constexpr std::chrono::microseconds kAwake{200};
// Looks at a job between two looks at the clock.
constexpr int kLooks = 64;
constexpr uint64_t kNoUnit = 0xffffffff;

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Team &Team::of_process(int threads) {
  static Team *const team = new Team(std::max(threads, 1));
  return *team;
}

Team::Team(int threads) : threads_(threads) {
  for (int i = 1; i < threads; i++) std::thread([this] { help(); }).detach();
}

bool Team::share(int64_t units, int64_t chunk, const std::function<void(int64_t, int64_t)> &work) {
  const std::unique_lock<std::mutex> only_one(asking_, std::try_to_lock);
  if (!only_one.owns_lock() || units >= static_cast<int64_t>(kNoUnit)) return false;
  const uint64_t job = (next_.load(std::memory_order_relaxed) >> 32) + 1;
  next_.store(job << 32 | kNoUnit);
  units_.store(units, std::memory_order_relaxed);
  chunk_.store(chunk, std::memory_order_relaxed);
  work_.store(&work, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  next_.store((job + 1) << 32);
  if (asleep_.load() > 0 && asleep_.exchange(0) > 0) {
    const std::lock_guard<std::mutex> lock(sleep_);
    wake_.notify_all();
  }
  while (take()) continue;
  for (int looks = 0; done_.load(std::memory_order_acquire) < units; looks++) {
    if (looks < kLooks)
      pause();
    else
      std::this_thread::yield();  // another process may have the processor of a thread that works
  }
  return true;
}

bool Team::take() {
  uint64_t next = next_.load(std::memory_order_acquire);
  for (;;) {
    const int64_t units = units_.load(std::memory_order_relaxed), chunk = chunk_.load(std::memory_order_relaxed);
    const std::function<void(int64_t, int64_t)> *work = work_.load(std::memory_order_relaxed);
    const int64_t begin = next & kNoUnit, end = std::min(begin + chunk, units);
    if (begin >= units) return false;
    if (!next_.compare_exchange_weak(next, (next & ~kNoUnit) | end, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    (*work)(begin, end);
    done_.fetch_add(end - begin, std::memory_order_release);
    return true;
  }
}

bool Team::has_work() const {
  const uint64_t next = next_.load();
  return static_cast<int64_t>(next & kNoUnit) < units_.load(std::memory_order_relaxed);
}

void Team::help() {
  for (;;) {
    const Clock::time_point until = Clock::now() + kAwake;
    bool worked = false;
    do
      for (int looks = 0; looks < kLooks && !worked; looks++) {
        worked = take();
        if (!worked) pause();
      }
    while (!worked && Clock::now() < until);
    if (worked) continue;
    // Counted again each time, and under the lock: whoever wakes the sleepers takes their count away before it locks.
    std::unique_lock<std::mutex> lock(sleep_);
    asleep_.fetch_add(1);
    if (!has_work()) wake_.wait(lock);
  }
}

}  // namespace graft
