// Mamba 2's state space (delta-rule.h) and its gradient on CPUs, a chunk of tokens at a time (per-instruction-set/state-chunks.h). The gradient makes
// the states before chunks again.
#include <algorithm>

#include "head-chunks.h"
#include "panels.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

constexpr int64_t T = kChunkTokens;

enum Input { kQ, kK, kV, kG, kB, kPositions, kDO };

class StateSpaceKernel : public DeltaKernel {
 public:
  using DeltaKernel::DeltaKernel;

 protected:
  // Reads c and b of all chunks, with what their heads share, into memory that the caller owns.
  absl::Status share(tf::OpKernelContext *context, const ChunkSizes &sizes, tf::Tensor *memory) const {
    const DeltaSizes &of = sizes.of;
    const int64_t units = of.rows * of.key_heads * sizes.chunks;
    const auto status = context->allocate_temp(tf::DT_FLOAT, tf::TensorShape({units * sizes.group_floats()}), memory);
    if (!status.ok()) return status;
    float *floats = memory->flat<float>().data();
    const float *q = context->input(kQ).flat<float>().data(), *k = context->input(kK).flat<float>().data();
    parallel(context, units, T * T * sizes.state_rows / 8, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t chunk = unit % sizes.chunks, row_and_group = unit / sizes.chunks;
        const GroupChunk group = group_chunk(floats, sizes, row_and_group, chunk);
        const int64_t token = row_and_group / of.key_heads * of.length + chunk * T;
        const int64_t at = (token * of.key_heads + row_and_group % of.key_heads) * of.key_size, stride = of.key_heads * of.key_size;
        read_rows(q + at, sizes.tokens_of(chunk), of.key_size, stride, sizes.state_rows, group.c);
        read_rows(k + at, sizes.tokens_of(chunk), of.key_size, stride, sizes.state_rows, group.b);
        state_chunks().share(group);
      }
    });
    return absl::OkStatus();
  }
  // Roughly, for one chunk of a head.
  static int64_t cycles(const ChunkSizes &sizes) { return T * sizes.state_floats() / 8; }
};

class StateSpace : public StateSpaceKernel {
 public:
  using StateSpaceKernel::StateSpaceKernel;
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes of;
    if (!read_sizes(context, &of)) return;
    const ChunkSizes sizes(of);
    tf::Tensor *o = nullptr, memory;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(kV).shape(), &o));
    if (o->NumElements() == 0) return;
    OP_REQUIRES_OK(context, share(context, sizes, &memory));
    float *shared = memory.flat<float>().data(), *to = o->flat<float>().data();
    const int32_t *positions = context->input(kPositions).flat<int32_t>().data();
    parallel(context, of.rows * of.value_heads, sizes.chunks * cycles(sizes), [&](int64_t begin, int64_t end) {
      AlignedWords of_state, of_y, of_scratch;
      float *state = of_state.of(sizes.state_floats()), *y = of_y.of(T * sizes.columns), *scratch = of_scratch.of(sizes.scratch());
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t row = unit / of.value_heads;
        const DeltaHead head(context, sizes.of, unit % of.value_heads);
        HeadReader reader(head, sizes, row, positions);
        for (int64_t chunk = 0; chunk < sizes.chunks; chunk++) {
          state_chunks().forward(group_chunk(shared, sizes, row * of.key_heads + head.key_head, chunk), reader.read(chunk), state, y, scratch);
          reader.write_values(y, chunk, to);
        }
      }
    });
  }
};

class StateSpaceGradient : public StateSpaceKernel {
 public:
  using StateSpaceKernel::StateSpaceKernel;
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes of;
    if (!read_sizes(context, &of)) return;
    const ChunkSizes sizes(of);
    float *gradients[5];
    for (int i = 0; i < 5; i++) {
      tf::Tensor *output = nullptr;
      OP_REQUIRES_OK(context, context->allocate_output(i, context->input(i).shape(), &output));
      gradients[i] = output->flat<float>().data();
    }
    if (context->input(kV).NumElements() == 0) {
      // Without values, nothing is read of what tokens write or read.
      for (int i = 0; i < 5; i++) std::fill_n(gradients[i], context->input(i).NumElements(), 0.0f);
      return;
    }
    const int64_t slices = sizes.slices(), together = sizes.heads_together(), units = of.rows * of.key_heads * slices;
    tf::Tensor memory, sums;
    OP_REQUIRES_OK(context, share(context, sizes, &memory));
    OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_FLOAT, tf::TensorShape({units * sizes.chunks * sizes.gradient_floats()}), &sums));
    float *shared = memory.flat<float>().data(), *of_units = sums.flat<float>().data();
    parallel(context, units, 4 * together * sizes.chunks * cycles(sizes), [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; unit++) {
        std::fill_n(of_units + unit * sizes.chunks * sizes.gradient_floats(), sizes.chunks * sizes.gradient_floats(), 0.0f);
        const int64_t first = unit % slices * together, row_and_group = unit / slices;
        for (int64_t i = first; i < std::min(first + together, of.shared()); i++)
          add(context, sizes, {row_and_group, row_and_group % of.key_heads * of.shared() + i, unit}, shared, of_units, gradients);
      }
    });
    parallel(context, of.rows * of.key_heads * sizes.chunks, T * T * sizes.state_rows / 4, [&](int64_t begin, int64_t end) {
      AlignedWords of_scratch;
      float *scratch = of_scratch.of(T * std::max(T, sizes.state_rows));
      for (int64_t i = begin; i < end; i++) write_shared(sizes, i / sizes.chunks, i % sizes.chunks, shared, of_units, gradients, scratch);
    });
  }

 private:
  struct Unit {
    int64_t row_and_group, value_head, number;
  };

  // Writes the gradients of a head's own inputs, and adds its part of those of the group.
  void add(tf::OpKernelContext *context, const ChunkSizes &sizes, const Unit &unit, float *shared, float *of_units, float *const *gradients) const {
    const DeltaSizes &of = sizes.of;
    const StateChunks &chunks = state_chunks();
    const int64_t row = unit.row_and_group / of.key_heads, size = sizes.state_floats(), columns = sizes.columns;
    const float *d_o = context->input(kDO).flat<float>().data();
    const DeltaHead head(context, of, unit.value_head);
    HeadReader reader(head, sizes, row, context->input(kPositions).flat<int32_t>().data());
    AlignedWords of_states, of_d_state, of_rows, of_scratch;
    float *states = of_states.of(sizes.chunks * size), *d_state = of_d_state.of(size), *scratch = of_scratch.of(sizes.scratch());
    float *d_y = of_rows.of(3 * T * columns), *d_u = d_y + T * columns, *values = d_u + T * columns;
    const auto group = [&](int64_t chunk) { return group_chunk(shared, sizes, unit.row_and_group, chunk); };
    for (int64_t chunk = 0; chunk + 1 < sizes.chunks; chunk++)
      chunks.advance(group(chunk), reader.read(chunk), states + chunk * size, states + (chunk + 1) * size, scratch);
    std::fill_n(d_state, size, 0.0f);
    for (int64_t chunk = sizes.chunks - 1; chunk >= 0; chunk--) {
      float d_log_decays[T];
      const HeadChunk of_head = reader.read(chunk);
      reader.read_values(d_o, chunk, d_y);
      chunks.gradient(group(chunk), of_head, d_y, states + chunk * size, d_state, d_u, d_log_decays,
                      chunk_gradient(of_units, sizes, unit.number, chunk), scratch);
      reader.read_values(head.v, chunk, values);
      for (int64_t i = 0; i < sizes.tokens_of(chunk); i++) {
        const int64_t at = head.head_offset(reader.token(chunk) + i);
        float d_beta = 0;
        for (int64_t column = 0; column < columns; column++) {
          float &element = d_u[i * columns + column];
          d_beta += element * values[i * columns + column];
          element *= head.b[at];
        }
        gradients[kG][at] = d_log_decays[i];
        gradients[kB][at] = d_beta;
      }
      reader.write_values(d_u, chunk, gradients[kV]);
    }
  }

  // Sums what the heads of a group have added for a chunk, in their order, into the gradients of q and k.
  // @param scratch kChunkTokens · the larger of kChunkTokens and state_rows
  static void write_shared(const ChunkSizes &sizes, int64_t row_and_group, int64_t chunk, float *shared, float *of_units, float *const *gradients,
                           float *scratch) {
    const DeltaSizes &of = sizes.of;
    const int64_t slices = sizes.slices();
    float *sum = chunk_gradient(of_units, sizes, row_and_group * slices, chunk).c_transpose;
    for (int64_t slice = 1; slice < slices; slice++) {
      const float *part = chunk_gradient(of_units, sizes, row_and_group * slices + slice, chunk).c_transpose;
      for (int64_t i = 0; i < sizes.gradient_floats(); i++) sum[i] += part[i];
    }
    const GroupChunkGradient whole = chunk_gradient(of_units, sizes, row_and_group * slices, chunk);
    state_chunks().share_gradient(group_chunk(shared, sizes, row_and_group, chunk), whole, scratch);
    const int64_t token = row_and_group / of.key_heads * of.length + chunk * T, key_head = row_and_group % of.key_heads;
    for (int64_t i = 0; i < sizes.tokens_of(chunk); i++) {
      const int64_t at = ((token + i) * of.key_heads + key_head) * of.key_size;
      for (int64_t row = 0; row < of.key_size; row++) {
        gradients[kQ][at + row] = whole.c_transpose[row * T + i];
        gradients[kK][at + row] = whole.b_transpose[row * T + i];
      }
    }
  }
};

REGISTER_OP("GraftStateSpace")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("g: float")
    .Input("b: float")
    .Input("positions: int32")
    .Output("o: float")
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftStateSpaceGradient")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("g: float")
    .Input("b: float")
    .Input("positions: int32")
    .Input("d_o: float")
    .Output("d_q: float")
    .Output("d_k: float")
    .Output("d_v: float")
    .Output("d_g: float")
    .Output("d_b: float")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftStateSpace").Device(tf::DEVICE_CPU), StateSpace);
REGISTER_KERNEL_BUILDER(Name("GraftStateSpaceGradient").Device(tf::DEVICE_CPU), StateSpaceGradient);

}  // namespace
}  // namespace graft
