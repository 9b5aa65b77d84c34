// The operation GraftFusedRows: a chain of operations on rows in one, so that the values between them never leave the processor's cache. Inputs are
// broadcast against each other as in NumPy; the last axis is the row.
#include <algorithm>
#include <cstring>
#include <vector>

#include "float-access.h"
#include "parallel.h"
#include "row-views.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Elements in a tile: about ten tiles fit the first-level cache together. A longer row is a tile of its own.
constexpr int64_t kTileElements = 1024;

class FusedRows : public RowKernel {
 public:
  using RowKernel::RowKernel;

  void Compute(tf::OpKernelContext *context) override {
    RowViews found;
    OP_REQUIRES_OK(context, found.of(context, program_, name()));
    const std::vector<InputView> &views = found.inputs;
    const int64_t rows = found.rows(), columns = found.columns();
    std::vector<tf::Tensor *> outputs(program_.outputs.size());
    for (size_t i = 0; i < outputs.size(); i++) {
      const tf::TensorShape shape = found.output_shape(program_.outputs[i].form);
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output(reusable(views), i, shape, &outputs[i]));
    }
    if (rows == 0) return;  // rows without columns are still computed: their sum is 0

    const int64_t tile_rows = std::clamp<int64_t>(kTileElements / std::max<int64_t>(columns, 1), 1, rows);
    const int64_t tiles = (rows + tile_rows - 1) / tile_rows;
    const int64_t cycles = tile_rows * columns * static_cast<int64_t>(program_.instructions.size() + 2 * program_.inputs) / 4;
    parallel(context, tiles, cycles, [&](int64_t begin, int64_t end) {
      Run run{program_, views, outputs, columns, tile_rows};
      for (int64_t tile = begin; tile < end; tile++) run.tile(tile * tile_rows, std::min(tile_rows, rows - tile * tile_rows));
    });
  }

 private:
  // Inputs whose memory a result may take if nothing else reads them: their tiles are copied into a buffer before the result is written.
  std::vector<int> reusable(const std::vector<InputView> &views) const {
    std::vector<int> found;
    for (int i = 0; i < program_.inputs; i++)
      if (views[i].dense && program_.full[i]) found.push_back(i);
    return found;
  }

  // What one thread computes.
  struct Run {
    const RowProgram &program;
    const std::vector<InputView> &views;
    const std::vector<tf::Tensor *> &outputs;
    const int64_t columns;
    const int64_t tile_rows;
    const TileOperations &operations = tile_operations();
    std::vector<float *> data{};  // by value: its tile

    void tile(int64_t first, int64_t rows) {
      // Buffers are kept between calls. Each begins at a cache line.
      static thread_local std::vector<float> memory;
      const int64_t full_size = (tile_rows * columns + 15) / 16 * 16, row_size = (tile_rows + 15) / 16 * 16;
      const size_t needed = program.full_buffers * full_size + program.row_buffers * row_size + 16;
      if (memory.size() < needed) memory.resize(needed);
      float *base = reinterpret_cast<float *>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
      data.resize(program.full.size());
      for (size_t value = 0; value < data.size(); value++)
        data[value] = program.full[value] ? base + program.buffer[value] * full_size
                                          : base + program.full_buffers * full_size + program.buffer[value] * row_size;
      for (int i = 0; i < program.inputs; i++) read(i, first, rows);
      // f32 results are computed where they belong.
      for (size_t i = 0; i < outputs.size(); i++) {
        const auto [form, value] = program.outputs[i];
        if (value >= program.inputs && outputs[i]->dtype() == tf::DT_FLOAT)
          data[value] = static_cast<float *>(outputs[i]->data()) + first * (form == Form::kFull ? columns : 1);
      }
      for (size_t i = 0; i < program.instructions.size(); i++) execute(program.instructions[i], program.inputs + i, rows);
      for (size_t i = 0; i < outputs.size(); i++) {
        const auto [form, value] = program.outputs[i];
        const int64_t width = form == Form::kFull ? columns : 1;
        store(data[value], outputs[i], first * width, rows * width);
      }
    }

    void read(int i, int64_t first, int64_t rows) {
      const InputView &view = views[i];
      const int64_t width = program.full[i] ? columns : 1;
      if (view.dense) {
        // f32 tiles are read where they are, unless a result takes their memory.
        if (view.dtype == tf::DT_FLOAT && !is_taken(view.data))
          data[i] = const_cast<float *>(reinterpret_cast<const float *>(view.data)) + first * width;
        else
          load(view.data, view.dtype, first * width, data[i], rows * width);
        return;
      }
      for (int64_t r = 0; r < rows; r++) load(view.data, view.dtype, view.row(first + r) * width, data[i] + r * width, width);
    }

    bool is_taken(const void *memory) const {
      return std::any_of(outputs.begin(), outputs.end(), [&](const tf::Tensor *output) { return output->data() == memory; });
    }

    // @return 0 where a NaN hides the largest
    int64_t first_of_largest(const float *x, int64_t n) const {
      constexpr int64_t part = 256;
      const float largest = operations.reduction[kMax](x, n);
      for (int64_t first = 0; first < n; first += part) {
        const int64_t count = std::min(part, n - first);
        if (operations.reduction[kMax](x + first, count) != largest) continue;
        const float *found = std::find(x + first, x + first + count, largest);
        if (found != x + first + count) return found - x;
      }
      return 0;
    }

    void execute(const Instruction &instruction, int result, int64_t rows) {
      float *out = data[result];
      const bool out_full = program.full[result];
      const int64_t n = out_full ? rows * columns : rows;
      const Operand *operand = instruction.operand;
      auto is_full = [&](int j) { return operand[j].value >= 0 && program.full[operand[j].value]; };
      switch (instruction.kind) {
        case Kind::kUnary:
          operations.unary[instruction.operation](data[operand[0].value], out, n);
          break;
        case Kind::kBinary: {
          const int operation = instruction.operation;
          if (operand[1].value < 0)
            operations.vector_scalar[operation](data[operand[0].value], operand[1].constant, out, n);
          else if (operand[0].value < 0)
            operations.scalar_vector[operation](operand[0].constant, data[operand[1].value], out, n);
          else if (is_full(0) == is_full(1))
            operations.vector_vector[operation](data[operand[0].value], data[operand[1].value], out, n);
          else
            for (int64_t r = 0; r < rows; r++) {
              if (is_full(0))
                operations.vector_scalar[operation](data[operand[0].value] + r * columns, data[operand[1].value][r], out + r * columns, columns);
              else
                operations.scalar_vector[operation](data[operand[0].value][r], data[operand[1].value] + r * columns, out + r * columns, columns);
            }
          break;
        }
        case Kind::kReduction:
          for (int64_t r = 0; r < rows; r++) out[r] = operations.reduction[instruction.operation](data[operand[0].value] + r * columns, columns);
          break;
        case Kind::kSelect:
          operations.select(data[operand[0].value], data[operand[1].value], data[operand[2].value], out, n);
          break;
        case Kind::kRoll: {
          const int64_t shift = columns == 0 ? 0 : ((static_cast<int64_t>(operand[1].constant) % columns) + columns) % columns;
          for (int64_t r = 0; r < rows; r++) {
            const float *x = data[operand[0].value] + r * columns;
            std::memcpy(out + r * columns + shift, x, (columns - shift) * sizeof(float));
            std::memcpy(out + r * columns, x + columns - shift, shift * sizeof(float));
          }
          break;
        }
        case Kind::kArgMax:
          for (int64_t r = 0; r < rows; r++) out[r] = static_cast<float>(first_of_largest(data[operand[0].value] + r * columns, columns));
          break;
        case Kind::kPick:
          for (int64_t r = 0; r < rows; r++) {
            const int64_t column = static_cast<int64_t>(data[operand[1].value][r]);
            out[r] = column < 0 || column >= columns ? 0.0f : data[operand[0].value][r * columns + column];
          }
      }
    }
  };
};

REGISTER_OP("GraftFusedRows")
    .Input("inputs: Tin")
    .Output("outputs: Tout")
    .Attr("Tin: list({float, bfloat16, int32, bool})")
    .Attr("Tout: list({float, bfloat16, int32, bool})")
    .Attr("program: string")
    .SetShapeFn(unknown_shapes);

REGISTER_KERNEL_BUILDER(Name("GraftFusedRows").Device(tf::DEVICE_CPU), FusedRows);

}  // namespace
}  // namespace graft
