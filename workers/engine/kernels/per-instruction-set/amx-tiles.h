// The processor's matrix unit (AMX): eight tiles of up to 16 rows of 64 bytes. Included where the instruction set has it.
//
// A product adds to a tile of sums [rows, 16], in f32, a tile of the left operand [rows, 16 words] times one of the right operand [16 words, 16]; a
// word is two bf16 elements that are neighbours on the inner axis. Elements that are not normal numbers count as 0.
#pragma once

#include <cstdint>
#include <utility>

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

constexpr int64_t kTileRows = 16, kTileWords = 16, kTileColumns = 16, kTileBytes = 64;

// Until it ends, the thread's tiles have their shapes.
class Tiles {
 public:
  // @param shape called with each tile's number, gives its rows and the bytes in each of them
  template <class Shape>
  explicit Tiles(const Shape &shape) {
    struct alignas(64) {
      uint8_t palette = 1, start_row = 0, reserved[14] = {};
      uint16_t bytes_in_row[16] = {};
      uint8_t rows[16] = {};
    } shapes;
    for (int tile = 0; tile < 8; tile++) {
      const std::pair<int64_t, int64_t> of_tile = shape(tile);
      shapes.rows[tile] = static_cast<uint8_t>(of_tile.first);
      shapes.bytes_in_row[tile] = static_cast<uint16_t>(of_tile.second);
    }
    asm volatile("ldtilecfg %0" ::"m"(shapes));
  }
  ~Tiles() { asm volatile("tilerelease"); }
  Tiles(const Tiles &) = delete;
  Tiles &operator=(const Tiles &) = delete;
};

// The compiler's own functions do not tell it that they read and write memory, and take no numbers from templates.
template <int tile>
inline void zero_tile() {
  asm volatile("tilezero %%tmm%c0" ::"i"(tile));
}
// @param stride bytes from one row to the next
template <int tile>
inline void load_tile(const void *from, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(tile) : "memory");
}
template <int tile>
inline void store_tile(void *to, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(tile) : "memory");
}
template <int sums, int left, int right>
inline void multiply_tiles() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(sums), "i"(left), "i"(right));
}

template <class Work, int... numbers>
inline void unrolled(const Work &work, std::integer_sequence<int, numbers...>) {
  (work(std::integral_constant<int, numbers>{}), ...);
}
// Calls `work` with the numbers from 0 to before `count`, which it may use as constants.
template <int count, class Work>
inline void unrolled(const Work &work) {
  unrolled(work, std::make_integer_sequence<int, count>{});
}

}  // namespace
}  // namespace graft::GRAFT_INSTRUCTIONS
