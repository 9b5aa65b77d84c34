#include "gpu/dequantize.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gpu/functions.h"

namespace graft::gpu {
namespace {

// One element for each thread. What is rounded on its own here is rounded on its own on a CPU too, so that both have the same bits.
constexpr char kSource[] = R"cuda(
__device__ float value_of(const unsigned char *memory, bool is_nf4, long long scales, long long nested, long long nested_count, long long columns,
                          long long row, long long column) {
  const long long element = row * columns + column;
  if (!is_nf4) {
    const float scale = ((const float *)(memory + scales))[row];
    return __fmul_rn(__fmul_rn((float)((const signed char *)memory)[element], scale), int8_step);
  }
  const unsigned char byte = memory[element / 2];
  const long long block = element / nf4_block;
  const float *nested_scales = (const float *)(memory + nested);
  const float difference = __fmul_rn(dynamic_values[memory[scales + block]], nested_scales[block / nf4_scale_block]);
  const float scale = __fadd_rn(difference, nested_scales[nested_count]);
  return __fmul_rn(nf4_values[element % 2 == 0 ? byte >> 4 : byte & 15], scale);
}

template <class Element>
__device__ void dequantize(const unsigned char *memory, int is_nf4, long long scales, long long nested, long long nested_count, long long columns,
                           long long first_row, long long first_column, unsigned part_rows, unsigned part_columns, Element *out,
                           long long row_stride, long long column_stride) {
  const unsigned index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= part_rows * part_columns) return;
  const unsigned row = index / part_columns, column = index % part_columns;
  store(out + row * row_stride + column * column_stride,
        value_of(memory, is_nf4 != 0, scales, nested, nested_count, columns, first_row + row, first_column + column));
}

#define PARAMETERS(Element)                                                                                                                    \
  const unsigned char *memory, int is_nf4, long long scales, long long nested, long long nested_count, long long columns, long long first_row, \
      long long first_column, unsigned part_rows, unsigned part_columns, Element *out, long long row_stride, long long column_stride
#define ARGUMENTS memory, is_nf4, scales, nested, nested_count, columns, first_row, first_column, part_rows, part_columns, out, row_stride, column_stride
extern "C" __global__ void dequantize_float(PARAMETERS(float)) { dequantize(ARGUMENTS); }
extern "C" __global__ void dequantize_bfloat16(PARAMETERS(unsigned short)) { dequantize(ARGUMENTS); }
)cuda";

template <int count>
std::string table(const char *name, const float (&values)[count]) {
  std::string text = absl::StrCat("__device__ const float ", name, "[] = {");
  for (const float value : values) absl::StrAppendFormat(&text, "%af, ", value);
  return text + "};\n";
}

Program &program() {
  static Program made(absl::StrCat(kFunctions, table("nf4_values", kNf4Values), table("dynamic_values", kDynamicValues),
                                   "constexpr int nf4_block = ", kNf4Block, ", nf4_scale_block = ", kNf4ScaleBlock,
                                   ";\nconstexpr float int8_step = ", absl::StrFormat("%a", kInt8Step), "f;\n", kSource));
  return made;
}

}  // namespace

absl::Status dequantize(const StreamScope &scope, const QuantizedLayout &layout, const void *memory, const Rectangle &part, tensorflow::DataType type,
                        void *out, int64_t row_stride, int64_t column_stride) {
  const int is_nf4 = layout.is_nf4() ? 1 : 0;
  const int64_t scales = layout.scales(), nested = layout.nested(), nested_count = layout.nested_count(), columns = layout.columns;
  const auto rows_here = static_cast<uint32_t>(part.rows), columns_here = static_cast<uint32_t>(part.columns);
  return program().launch_each(scope, for_type("dequantize", type), part.rows * part.columns,
                               {&memory, &is_nf4, &scales, &nested, &nested_count, &columns, &part.first_row, &part.first_column, &rows_here,
                                &columns_here, &out, &row_stride, &column_stride});
}

}  // namespace graft::gpu
