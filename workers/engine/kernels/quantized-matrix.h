// A frozen matrix as bitsandbytes quantises it, in one piece of memory: the codes of its elements, row by row, then what scales them.
//
// NF4 (Dettmers et al. 2023): two 4-bit codes a byte, the first in the upper half; a scale for each 64 elements, itself an 8-bit code for its
// difference from the scales' mean; and for each 256 of those an f32 scale.
// int8: a byte for each element; an f32 scale for each row, its largest absolute value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "blocks.h"

namespace graft {

enum class QuantizedFormat { kNf4, kInt8 };

// The 16 values of NF4, in order.
extern const float kNf4Values[16];
// The 256 values of bitsandbytes' 8-bit dynamic type, in order.
extern const float kDynamicValues[256];

// Elements that share a scale, and scales that share one.
constexpr int64_t kNf4Block = 64, kNf4ScaleBlock = 256;
constexpr float kInt8Step = 7.874015718698502e-3f;  // 1 / 127

// Where the parts of a quantised matrix begin, in bytes. Each begins on a cache line.
struct QuantizedLayout {
  QuantizedFormat format;
  int64_t rows, columns;

  int64_t elements() const { return rows * columns; }
  bool is_nf4() const { return format == QuantizedFormat::kNf4; }
  int64_t scale_count() const { return is_nf4() ? blocks_of(elements(), kNf4Block) : rows; }
  int64_t scales() const { return aligned(is_nf4() ? (elements() + 1) / 2 : elements()); }
  // NF4 alone: the scales' scales, followed by the scales' mean.
  int64_t nested_count() const { return blocks_of(scale_count(), kNf4ScaleBlock); }
  int64_t nested() const { return scales() + aligned(scale_count()); }
  int64_t bytes() const {
    return is_nf4() ? nested() + aligned((nested_count() + 1) * static_cast<int64_t>(sizeof(float)))
                    : scales() + aligned(rows * static_cast<int64_t>(sizeof(float)));
  }

 private:
  static int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }
};

// @return false for a name that is no format
bool quantized_format(const std::string &name, QuantizedFormat *format);

// Reads a quantised matrix.
class QuantizedMatrix {
 public:
  QuantizedMatrix(const QuantizedLayout &layout, const void *memory) : layout_(layout), memory_(static_cast<const char *>(memory)) {}
  const QuantizedLayout &layout() const { return layout_; }
  // The byte that has an element's code, where two may share one.
  const char *codes(int64_t row, int64_t column) const { return memory_ + code_bytes(row * layout_.columns + column); }
  // Whole bytes that the codes of so many elements fill.
  int64_t code_bytes(int64_t elements) const { return layout_.is_nf4() ? elements / 2 : elements; }
  // Writes `count` elements of a row, starting at a column, in f32 or rounded to bf16.
  void read(int64_t row, int64_t column, int64_t count, float *out) const;
  void read(int64_t row, int64_t column, int64_t count, uint16_t *out) const;

 private:
  template <class Element>
  using ReadNf4 = void (*)(const uint8_t *codes, float scale, int64_t first, Element *out, int64_t count);
  template <class Element>
  using ReadInt8 = void (*)(const int8_t *codes, float scale, Element *out, int64_t count);

  template <class Element>
  void read(int64_t row, int64_t column, int64_t count, Element *out, ReadNf4<Element> nf4, ReadInt8<Element> int8) const;
  float nf4_scale(int64_t block) const;

  const QuantizedLayout layout_;
  const char *memory_;
};

// Distributes work over threads, as `parallel` does.
using Share = std::function<void(int64_t units, int64_t cycles, const std::function<void(int64_t begin, int64_t end)> &work)>;

// Quantises a matrix, [rows, columns]. @param memory of `layout.bytes()`, zeroed
void quantize(const float *x, const QuantizedLayout &layout, void *memory, const Share &share);

}  // namespace graft
