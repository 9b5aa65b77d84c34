// The convolution, and the delta rule or a state space (delta-rule.h), for new tokens of texts whose states are in the session, where they are
// updated. Tokens of one text are neighbours, in their order. What a token gets depends on its own text alone, to the bit.
#include <vector>

#include "delta-rule.h"
#include "recurrent-states.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Neighbouring tokens of one text.
struct Run {
  RecurrentState *state;
  int64_t token, count;
  bool is_first;  // whether the first one begins the text
};

std::vector<Run> runs_of(RecurrentStates *states, int64_t layer, const tf::Tensor &slots, const tf::Tensor &positions) {
  const int32_t *slot = slots.flat<int32_t>().data(), *position = positions.flat<int32_t>().data();
  std::vector<Run> runs;
  for (int64_t token = 0; token < slots.NumElements(); token++) {
    if (token > 0 && slot[token] == slot[token - 1] && position[token] != 0)
      runs.back().count++;
    else
      runs.push_back({states->state(layer, slot[token]), token, 1, position[token] == 0});
  }
  return runs;
}

template <bool corrects>
class CachedDeltaRule : public DeltaKernel {
 public:
  explicit CachedDeltaRule(tf::OpKernelConstruction *construction) : DeltaKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("layer", &layer_));
  }
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes sizes;
    if (!read_sizes(context, &sizes)) return;
    const int64_t tokens = sizes.rows * sizes.length;
    OP_REQUIRES(context, context->input(5).NumElements() == tokens && context->input(6).NumElements() == tokens,
                absl::InvalidArgumentError(absl::StrCat(name(), ": there is not a place for each token")));
    tf::Tensor *o = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(2).shape(), &o));
    RecurrentStates *states = nullptr;
    OP_REQUIRES_OK(context, RecurrentStates::of_session(context, &states));
    tf::core::ScopedUnref unref(states);
    const std::vector<Run> runs = runs_of(states, layer_, context->input(5), context->input(6));
    const int64_t units = sizes.value_heads * sizes.blocks();
    for (const Run &run : runs) run.state->heads.resize(units * sizes.state_floats());
    const int64_t per_unit = 1 + tokens * sizes.state_floats() / 2 / std::max<int64_t>(1, runs.size());
    parallel(context, runs.size() * units, per_unit, [&](int64_t begin, int64_t end) {
      float v[kStateColumns], result[kStateColumns];
      [[maybe_unused]] float error[kStateColumns];
      for (int64_t i = begin; i < end; i++) {
        const Run &run = runs[i / units];
        const int64_t unit = i % units, block = unit % sizes.blocks();
        const DeltaHead head(context, sizes, unit / sizes.blocks());
        const int64_t columns = head.columns(block);
        float *state = run.state->heads.data() + unit * sizes.state_floats();
        for (int64_t token = run.token; token < run.token + run.count; token++) {
          const int64_t at = head.value_offset(token, block);
          read_block(head.v + at, columns, v);
          const DeltaToken one = head.token(token, run.is_first && token == run.token);
          if constexpr (corrects)
            delta_steps().forward(one, v, state, error, result);
          else
            delta_steps().write(one, v, state, result);
          std::copy_n(result, columns, o->flat<float>().data() + at);
        }
      }
    });
  }

 private:
  int64_t layer_;
};

// Σⱼ w[·, K − 1 − j] · x[t − j], with zeros before a text.
class CachedConvolution : public Kernel {
 public:
  explicit CachedConvolution(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("layer", &layer_));
  }
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1);
    const bool match = x.dims() == 2 && w.dims() == 2 && x.dim_size(1) == w.dim_size(0) && context->input(2).NumElements() == x.dim_size(0) &&
                       context->input(3).NumElements() == x.dim_size(0);
    OP_REQUIRES(context, match, absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of x, w and the places do not match")));
    tf::Tensor *y = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    RecurrentStates *states = nullptr;
    OP_REQUIRES_OK(context, RecurrentStates::of_session(context, &states));
    tf::core::ScopedUnref unref(states);
    const int64_t channels = x.dim_size(1), size = w.dim_size(1), kept = (size - 1) * channels;
    const std::vector<Run> runs = runs_of(states, layer_, context->input(2), context->input(3));
    parallel(context, runs.size(), x.NumElements() * size / std::max<int64_t>(1, runs.size()), [&](int64_t begin, int64_t end) {
      std::vector<float> inputs;
      for (int64_t i = begin; i < end; i++) {
        const Run &run = runs[i];
        std::vector<float> &last = run.state->inputs;
        if (run.is_first || static_cast<int64_t>(last.size()) != kept) last.assign(kept, 0.0f);
        inputs.assign(last.begin(), last.end());
        const float *from = x.flat<float>().data() + run.token * channels;
        inputs.insert(inputs.end(), from, from + run.count * channels);
        const float *weights = w.flat<float>().data();
        for (int64_t token = 0; token < run.count; token++) {
          float *out = y->flat<float>().data() + (run.token + token) * channels;
          const float *in = inputs.data() + token * channels;
          for (int64_t c = 0; c < channels; c++) {
            float sum = 0;
            for (int64_t j = 0; j < size; j++) sum += weights[c * size + j] * in[j * channels + c];
            out[c] = sum;
          }
        }
        last.assign(inputs.end() - kept, inputs.end());
      }
    });
  }

 private:
  int64_t layer_;
};

REGISTER_OP("GraftCachedDeltaRule")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("g: float")
    .Input("b: float")
    .Input("slots: int32")
    .Input("positions: int32")
    .Output("o: float")
    .Attr("layer: int")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftCachedStateSpace")
    .Input("q: float")
    .Input("k: float")
    .Input("v: float")
    .Input("g: float")
    .Input("b: float")
    .Input("slots: int32")
    .Input("positions: int32")
    .Output("o: float")
    .Attr("layer: int")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftCachedConvolution")
    .Input("x: float")
    .Input("w: float")
    .Input("slots: int32")
    .Input("positions: int32")
    .Output("y: float")
    .Attr("layer: int")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftCachedDeltaRule").Device(tf::DEVICE_CPU), CachedDeltaRule<true>);
REGISTER_KERNEL_BUILDER(Name("GraftCachedStateSpace").Device(tf::DEVICE_CPU), CachedDeltaRule<false>);
REGISTER_KERNEL_BUILDER(Name("GraftCachedConvolution").Device(tf::DEVICE_CPU), CachedConvolution);

}  // namespace
}  // namespace graft
