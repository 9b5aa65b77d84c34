#include "quantized-matrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "per-instruction-set/quantized-rows.h"

namespace graft {

const float kNf4Values[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

// As bitsandbytes' create_dynamic_map() makes them.
const float kDynamicValues[256] = {
    -0.99296874f,   -0.9789063f,    -0.96484375f,    -0.9507812f,     -0.93671876f,    -0.92265624f,    -0.9085938f,     -0.89453125f,
    -0.8804687f,    -0.86640626f,   -0.85234374f,    -0.8382813f,     -0.82421875f,    -0.8101562f,     -0.79609376f,    -0.78203124f,
    -0.7679688f,    -0.75390625f,   -0.7398437f,     -0.72578126f,    -0.7117188f,     -0.6976563f,     -0.68359375f,    -0.6695312f,
    -0.65546876f,   -0.6414063f,    -0.6273438f,     -0.61328125f,    -0.5992187f,     -0.58515626f,    -0.5710938f,     -0.5570313f,
    -0.54296875f,   -0.5289062f,    -0.5148437f,     -0.50078124f,    -0.4867187f,     -0.47265625f,    -0.45859373f,    -0.44453126f,
    -0.43046874f,   -0.41640624f,   -0.40234375f,    -0.38828123f,    -0.37421876f,    -0.36015624f,    -0.34609374f,    -0.33203125f,
    -0.31796873f,   -0.30390626f,   -0.28984374f,    -0.27578127f,    -0.26171875f,    -0.24765624f,    -0.23359375f,    -0.21953125f,
    -0.20546874f,   -0.19140625f,   -0.17734376f,    -0.16328125f,    -0.14921875f,    -0.13515624f,    -0.12109375f,    -0.107031256f,
    -0.09859375f,   -0.09578126f,   -0.092968754f,   -0.09015625f,    -0.08734375f,    -0.08453125f,    -0.08171876f,    -0.07890625f,
    -0.07609375f,   -0.07328125f,   -0.070468746f,   -0.067656256f,   -0.06484375f,    -0.06203125f,    -0.059218753f,   -0.05640625f,
    -0.05359375f,   -0.05078125f,   -0.04796875f,    -0.04515625f,    -0.042343747f,   -0.03953125f,    -0.036718752f,   -0.03390625f,
    -0.03109375f,   -0.028281251f,  -0.02546875f,    -0.02265625f,    -0.019843752f,   -0.01703125f,    -0.01421875f,    -0.01140625f,
    -0.00971875f,   -0.009156249f,  -0.00859375f,    -0.00803125f,    -0.00746875f,    -0.00690625f,    -0.00634375f,    -0.00578125f,
    -0.0052187503f, -0.0046562497f, -0.00409375f,    -0.0035312497f,  -0.00296875f,    -0.00240625f,    -0.00184375f,    -0.0012812499f,
    -0.0009437501f, -0.00083125f,   -0.00071875006f, -0.0006062501f,  -0.00049375003f, -0.00038125002f, -0.00026875004f, -0.00015625001f,
    -8.875e-05f,    -6.625e-05f,    -4.375e-05f,     -2.1249998e-05f, -7.75e-06f,      -3.2500002e-06f, -5.5000004e-07f, 0.0f,
    5.5000004e-07f, 3.2500002e-06f, 7.75e-06f,       2.1249998e-05f,  4.375e-05f,      6.625e-05f,      8.875e-05f,      0.00015625001f,
    0.00026875004f, 0.00038125002f, 0.00049375003f,  0.0006062501f,   0.00071875006f,  0.00083125f,     0.0009437501f,   0.0012812499f,
    0.00184375f,    0.00240625f,    0.00296875f,     0.0035312497f,   0.00409375f,     0.0046562497f,   0.0052187503f,   0.00578125f,
    0.00634375f,    0.00690625f,    0.00746875f,     0.00803125f,     0.00859375f,     0.009156249f,    0.00971875f,     0.01140625f,
    0.01421875f,    0.01703125f,    0.019843752f,    0.02265625f,     0.02546875f,     0.028281251f,    0.03109375f,     0.03390625f,
    0.036718752f,   0.03953125f,    0.042343747f,    0.04515625f,     0.04796875f,     0.05078125f,     0.05359375f,     0.05640625f,
    0.059218753f,   0.06203125f,    0.06484375f,     0.067656256f,    0.070468746f,    0.07328125f,     0.07609375f,     0.07890625f,
    0.08171876f,    0.08453125f,    0.08734375f,     0.09015625f,     0.092968754f,    0.09578126f,     0.09859375f,     0.107031256f,
    0.12109375f,    0.13515624f,    0.14921875f,     0.16328125f,     0.17734376f,     0.19140625f,     0.20546874f,     0.21953125f,
    0.23359375f,    0.24765624f,    0.26171875f,     0.27578127f,     0.28984374f,     0.30390626f,     0.31796873f,     0.33203125f,
    0.34609374f,    0.36015624f,    0.37421876f,     0.38828123f,     0.40234375f,     0.41640624f,     0.43046874f,     0.44453126f,
    0.45859373f,    0.47265625f,    0.4867187f,      0.50078124f,     0.5148437f,      0.5289062f,      0.54296875f,     0.5570313f,
    0.5710938f,     0.58515626f,    0.5992187f,      0.61328125f,     0.6273438f,      0.6414063f,      0.65546876f,     0.6695312f,
    0.68359375f,    0.6976563f,     0.7117188f,      0.72578126f,     0.7398437f,      0.75390625f,     0.7679688f,      0.78203124f,
    0.79609376f,    0.8101562f,     0.82421875f,     0.8382813f,      0.85234374f,     0.86640626f,     0.8804687f,      0.89453125f,
    0.9085938f,     0.92265624f,    0.93671876f,     0.9507812f,      0.96484375f,     0.9789063f,      0.99296874f,     1.0f,
};

bool quantized_format(const std::string &name, QuantizedFormat *format) {
  *format = name == "int8" ? QuantizedFormat::kInt8 : QuantizedFormat::kNf4;
  return name == "nf4" || name == "int8";
}

namespace {

const float *floats(const char *memory, int64_t offset) { return reinterpret_cast<const float *>(memory + offset); }

// The place of the nearest value in a sorted table; of two that are as near, the smaller one.
template <int count>
int nearest(const float (&values)[count], float x) {
  static const std::vector<float> bounds = [&] {
    std::vector<float> made(count - 1);
    for (int i = 0; i + 1 < count; i++) made[i] = (values[i] + values[i + 1]) / 2;
    return made;
  }();
  return static_cast<int>(std::lower_bound(bounds.begin(), bounds.end(), x) - bounds.begin());
}

float largest(const float *x, int64_t count) {
  float found = 0;
  for (int64_t i = 0; i < count; i++) found = std::max(found, std::fabs(x[i]));
  return found;
}

// Elements of one block as shares of its largest absolute value.
struct Shares {
  // Without a division by zero, which smaller scales are to a processor that flushes them.
  explicit Shares(float scale) : inverse(scale < std::numeric_limits<float>::min() ? 0.0f : 1.0f / scale) {}
  float of(float x) const { return std::min(std::max(x * inverse, -1.0f), 1.0f); }
  const float inverse;
};

// Writes the codes of a block. For each element all bounds are compared, which takes no branches. @return the block's scale
float quantize_nf4_block(const float *x, int64_t count, uint8_t *codes) {
  const float scale = largest(x, count);
  const Shares shares_of(scale);
  float shares[kNf4Block] = {};  // with zeros at the end, as bitsandbytes pads
  for (int64_t i = 0; i < count; i++) shares[i] = shares_of.of(x[i]);
  int32_t places[kNf4Block] = {};
  for (int value = 0; value < 15; value++) {
    const float bound = (kNf4Values[value] + kNf4Values[value + 1]) / 2;
    for (int64_t i = 0; i < kNf4Block; i++) places[i] += bound < shares[i] ? 1 : 0;
  }
  for (int64_t i = 0; i < count; i += 2) codes[i / 2] = static_cast<uint8_t>(places[i] << 4 | places[i + 1]);
  return scale;
}

void quantize_nf4(const float *x, const QuantizedLayout &layout, char *memory, const Share &share) {
  const int64_t count = layout.elements(), scale_count = layout.scale_count();
  uint8_t *codes = reinterpret_cast<uint8_t *>(memory), *scale_codes = codes + layout.scales();
  float *nested = reinterpret_cast<float *>(memory + layout.nested());
  std::vector<float> scales(scale_count);
  share(scale_count, kNf4Block * 8, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; block++) {
      const int64_t first = block * kNf4Block;
      scales[block] = quantize_nf4_block(x + first, std::min(kNf4Block, count - first), codes + first / 2);
    }
  });
  double sum = 0;
  for (const float scale : scales) sum += scale;
  const float mean = static_cast<float>(sum / scale_count);
  for (float &scale : scales) scale -= mean;
  for (int64_t i = 0; i < layout.nested_count(); i++) {
    const int64_t first = i * kNf4ScaleBlock, end = std::min(first + kNf4ScaleBlock, scale_count);
    nested[i] = largest(&scales[first], end - first);
    const Shares shares(nested[i]);
    for (int64_t j = first; j < end; j++) scale_codes[j] = static_cast<uint8_t>(nearest(kDynamicValues, shares.of(scales[j])));
  }
  nested[layout.nested_count()] = mean;
}

void quantize_int8(const float *x, const QuantizedLayout &layout, char *memory, const Share &share) {
  int8_t *codes = reinterpret_cast<int8_t *>(memory);
  float *scales = reinterpret_cast<float *>(memory + layout.scales());
  share(layout.rows, layout.columns * 4, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      const float *from = x + row * layout.columns;
      scales[row] = largest(from, layout.columns);
      if (scales[row] == 0) continue;  // the codes are zero already
      const float factor = 127.0f / scales[row];
      for (int64_t i = 0; i < layout.columns; i++) codes[row * layout.columns + i] = static_cast<int8_t>(std::nearbyint(from[i] * factor));
    }
  });
}

}  // namespace

void quantize(const float *x, const QuantizedLayout &layout, void *memory, const Share &share) {
  const auto of_format = layout.is_nf4() ? quantize_nf4 : quantize_int8;
  of_format(x, layout, static_cast<char *>(memory), share);
}

void QuantizedMatrix::read(int64_t row, int64_t column, int64_t count, float *out) const {
  const QuantizedRows &rows = quantized_rows();
  read(row, column, count, out, rows.nf4, rows.int8);
}

void QuantizedMatrix::read(int64_t row, int64_t column, int64_t count, uint16_t *out) const {
  const QuantizedRows &rows = quantized_rows();
  read(row, column, count, out, rows.nf4_to_bf16, rows.int8_to_bf16);
}

template <class Element>
void QuantizedMatrix::read(int64_t row, int64_t column, int64_t count, Element *out, ReadNf4<Element> nf4, ReadInt8<Element> int8) const {
  int64_t first = row * layout_.columns + column;
  const int64_t end = first + count;
  if (!layout_.is_nf4()) return int8(reinterpret_cast<const int8_t *>(memory_) + first, floats(memory_, layout_.scales())[row], out, count);
  while (first < end) {
    const int64_t block = first / kNf4Block, in_block = std::min((block + 1) * kNf4Block, end) - first;
    nf4(reinterpret_cast<const uint8_t *>(memory_), nf4_scale(block), first, out, in_block);
    first += in_block;
    out += in_block;
  }
}

float QuantizedMatrix::nf4_scale(int64_t block) const {
  const uint8_t code = reinterpret_cast<const uint8_t *>(memory_)[layout_.scales() + block];
  const float *nested = floats(memory_, layout_.nested());
  // Rounded before the mean is added, as bitsandbytes does: one fused operation would give other bits.
  const volatile float difference = kDynamicValues[code] * nested[block / kNf4ScaleBlock];
  return difference + nested[layout_.nested_count()];
}

}  // namespace graft
