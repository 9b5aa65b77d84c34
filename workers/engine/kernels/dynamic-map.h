// The dynamic 8-bit data types of bitsandbytes (`create_dynamic_map`; Dettmers 2016): seven decades, each with twice as many steps as the one below.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "per-instruction-set/adam-blocks.h"

namespace graft {

// @param negative whether it has negative values too; without them it has twice as many steps
inline CodeMap dynamic_map(bool negative) {
  constexpr int kDecades = 7;
  std::vector<float> values = {0.0f, 1.0f};
  for (int decade = 0; decade < kDecades; decade++) {
    const int steps = 1 << (negative ? decade : decade + 1);
    const float scale = static_cast<float>(std::pow(10.0, decade - kDecades + 1)), step = (1.0f - 0.1f) / steps;
    // As torch.linspace(0.1, 1, steps + 1), which counts from both ends.
    const auto boundary = [&](int i) { return i < (steps + 1) / 2 ? 0.1f + step * i : 1.0f - step * (steps - i); };
    for (int i = 0; i < steps; i++) {
      const float mean = (boundary(i) + boundary(i + 1)) / 2 * scale;
      values.push_back(mean);
      if (negative) values.push_back(-mean);
    }
  }
  std::sort(values.begin(), values.end());
  CodeMap map;
  std::copy(values.begin(), values.end(), map.values);
  for (int i = 0; i + 1 < kCodes; i++) map.bounds[i] = (map.values[i] + map.values[i + 1]) / 2;
  map.bounds[kCodes - 1] = std::numeric_limits<float>::infinity();
  for (int64_t prefix = 0; prefix < kPrefixes; prefix++) {
    // Of negative numbers, the least has the largest remaining bits.
    const uint32_t bits = static_cast<uint32_t>(prefix) << 16 | (prefix >> 15 ? 0xffffu : 0u);
    float least;
    std::memcpy(&least, &bits, sizeof least);
    map.bounds_below[prefix] = std::isnan(least) ? 0 : std::lower_bound(map.bounds, map.bounds + kCodes - 1, least) - map.bounds;
  }
  return map;
}

}  // namespace graft
