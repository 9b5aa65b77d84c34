// The forward pass of delta-rule.h, which also returns the errors, and its gradient, which makes the states from them again.
#include "delta-rule.h"

#include <vector>

#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Tokens whose states the gradient holds at once; of all others it holds the state before each group.
constexpr int64_t kGroup = 64;

class DeltaRule : public DeltaKernel {
 public:
  using DeltaKernel::DeltaKernel;
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes sizes;
    if (!read_sizes(context, &sizes)) return;
    const tf::TensorShape &v_shape = context->input(2).shape();
    tf::Tensor *o = nullptr, *errors = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, v_shape, &o));
    OP_REQUIRES_OK(context, context->allocate_output(1, v_shape, &errors));
    const int32_t *positions = context->input(5).flat<int32_t>().data();
    const int64_t units = sizes.rows * sizes.value_heads * sizes.blocks();
    parallel(context, units, sizes.length * sizes.state_floats() / 2, [&](int64_t begin, int64_t end) {
      std::vector<float> state(sizes.state_floats());
      float v[kStateColumns], error[kStateColumns], result[kStateColumns];
      for (int64_t unit = begin; unit < end; unit++) {
        const int64_t block = unit % sizes.blocks(), row = unit / sizes.blocks() / sizes.value_heads;
        const DeltaHead head(context, sizes, unit / sizes.blocks() % sizes.value_heads);
        const int64_t columns = head.columns(block);
        std::fill(state.begin(), state.end(), 0.0f);
        for (int64_t token = row * sizes.length; token < (row + 1) * sizes.length; token++) {
          const int64_t at = head.value_offset(token, block);
          read_block(head.v + at, columns, v);
          delta_steps().forward(head.token(token, positions[token] == 0), v, state.data(), error, result);
          std::copy_n(result, columns, o->flat<float>().data() + at);
          std::copy_n(error, columns, errors->flat<float>().data() + at);
        }
      }
    });
  }
};

class DeltaRuleGradient : public DeltaKernel {
 public:
  using DeltaKernel::DeltaKernel;
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes sizes;
    if (!read_sizes(context, &sizes)) return;
    Gradients gradients;
    for (int i = 0; i < 5; i++) {
      tf::Tensor *output = nullptr;
      OP_REQUIRES_OK(context, context->allocate_output(i, context->input(i).shape(), &output));
      gradients.data[i] = output->flat<float>().data();
      // A key head's gradient is the sum of those of the value heads that share it.
      if (i != kV) std::fill_n(gradients.data[i], output->NumElements(), 0.0f);
    }
    const int64_t units = sizes.rows * sizes.key_heads;
    parallel(context, units, 4 * sizes.length * sizes.shared() * sizes.blocks() * sizes.state_floats(), [&](int64_t begin, int64_t end) {
      Scratch scratch;
      for (int64_t unit = begin; unit < end; unit++)
        for (int64_t i = 0; i < sizes.shared(); i++) {
          const DeltaHead head(context, sizes, unit % sizes.key_heads * sizes.shared() + i);
          for (int64_t block = 0; block < sizes.blocks(); block++) add(context, head, unit / sizes.key_heads, block, gradients, &scratch);
        }
    });
  }

 private:
  enum Input { kQ, kK, kV, kG, kB, kPositions, kErrors, kDO };
  struct Gradients {
    float *data[5];
  };
  struct Scratch {
    std::vector<float> before;  // the state before each group
    std::vector<float> states;  // before a group, and after each of its tokens
    std::vector<float> d_state;
  };

  // Adds the gradients that a block of a head's columns contributes in one row.
  void add(tf::OpKernelContext *context, const DeltaHead &head, int64_t row, int64_t block, const Gradients &gradients, Scratch *scratch) const {
    const DeltaSteps &steps = delta_steps();
    const int64_t length = head.sizes.length, size = head.sizes.state_floats(), first = row * length, columns = head.columns(block);
    const int32_t *positions = context->input(kPositions).flat<int32_t>().data();
    const float *errors = context->input(kErrors).flat<float>().data(), *d_o = context->input(kDO).flat<float>().data();
    float error[kStateColumns], d_result[kStateColumns], d_v[kStateColumns];
    const auto token_at = [&](int64_t token) { return head.token(token, positions[token] == 0); };
    const auto advance = [&](int64_t token, const float *from, float *to) {
      read_block(errors + head.value_offset(token, block), columns, error);
      steps.advance(token_at(token), error, from, to);
    };

    const int64_t groups = (length + kGroup - 1) / kGroup;
    scratch->before.assign(groups * size, 0.0f);
    scratch->states.resize((kGroup + 1) * size);
    scratch->d_state.assign(size, 0.0f);
    for (int64_t group = 0; group + 1 < groups; group++) {
      float *next = scratch->before.data() + (group + 1) * size;
      const float *from = next - size;
      for (int64_t i = 0; i < kGroup; i++, from = next) advance(first + group * kGroup + i, from, next);
    }
    for (int64_t group = groups - 1; group >= 0; group--) {
      const int64_t begin = group * kGroup, count = std::min(kGroup, length - begin);
      float *states = scratch->states.data();
      std::copy_n(scratch->before.data() + group * size, size, states);
      for (int64_t i = 0; i < count; i++) advance(first + begin + i, states + i * size, states + (i + 1) * size);
      for (int64_t i = count - 1; i >= 0; i--) {
        const int64_t token = first + begin + i, at = head.value_offset(token, block), key = head.key_offset(token), one = head.head_offset(token);
        read_block(errors + at, columns, error);
        read_block(d_o + at, columns, d_result);
        const DeltaTokenGradients of_token{gradients.data[kQ] + key, gradients.data[kK] + key, gradients.data[kG] + one, gradients.data[kB] + one};
        steps.gradient(token_at(token), error, d_result, states + i * size, states + (i + 1) * size, scratch->d_state.data(), d_v, of_token);
        std::copy_n(d_v, columns, gradients.data[kV] + at);
      }
    }
  }
};

REGISTER_OP("GraftDeltaRule")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("g: float")
    .Input("b: float")
    .Input("positions: int32")
    .Output("o: float")
    .Output("errors: float")
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftDeltaRuleGradient")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("g: float")
    .Input("b: float")
    .Input("positions: int32")
    .Input("errors: float")
    .Input("d_o: float")
    .Output("d_q: float")
    .Output("d_k: float")
    .Output("d_v: float")
    .Output("d_g: float")
    .Output("d_b: float")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftDeltaRule").Device(tf::DEVICE_CPU), DeltaRule);
REGISTER_KERNEL_BUILDER(Name("GraftDeltaRuleGradient").Device(tf::DEVICE_CPU), DeltaRuleGradient);

}  // namespace
}  // namespace graft
