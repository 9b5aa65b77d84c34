// The delta rule, the state space and their gradients (delta-rule.h) for a GPU: a block for each value head of a row, which goes over the tokens one
// after the other. A thread computes columns of the state, which no other reads in the forward pass.
#include <algorithm>

#include "delta-rule.h"
#include "gpu/functions.h"
#include "gpu/registration.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

// Tokens whose states the gradient holds at once; of all others it holds the state before each group.
constexpr int64_t kGroup = 64;

constexpr char kSource[] = R"cuda(
struct Sizes { int length, key_heads, value_heads, key_size, value_size, corrects; };
// Where a block's tokens are.
struct Head {
  long long first;  // token of the row
  int key_head, value_head;
  __device__ Head(const Sizes &s) {
    first = (long long)(blockIdx.x / s.value_heads) * s.length;
    value_head = blockIdx.x % s.value_heads;
    key_head = value_head / (s.value_heads / s.key_heads);
  }
  __device__ long long key(const Sizes &s, long long token) const { return (token * s.key_heads + key_head) * s.key_size; }
  __device__ long long value(const Sizes &s, long long token) const { return (token * s.value_heads + value_head) * s.value_size; }
  __device__ long long own_key(const Sizes &s, long long token) const { return (token * s.value_heads + value_head) * s.key_size; }
  __device__ long long one(const Sizes &s, long long token) const { return token * s.value_heads + value_head; }
};
__device__ float decay_of(const float *g, const int *positions, long long token, long long at) { return positions[token] == 0 ? 0.0f : expf(g[at]); }

// @param states zeroed, [blocks, key_size, value_size]
// @param errors null without a correction
extern "C" __global__ void forward(const float *q, const float *k, const float *v, const float *g, const float *b, const int *positions, float *states,
                                   float *o, float *errors, const Sizes s) {
  const Head head(s);
  float *state = states + (long long)blockIdx.x * s.key_size * s.value_size;
  for (int column = threadIdx.x; column < s.value_size; column += blockDim.x)
    for (long long token = head.first; token < head.first + s.length; token++) {
      const float *keys = k + head.key(s, token), *queries = q + head.key(s, token);
      const long long at = head.value(s, token) + column;
      const float decay = decay_of(g, positions, token, head.one(s, token));
      float predicted = 0.0f, result = 0.0f;
      for (int i = 0; i < s.key_size; i++) {
        float &element = state[i * s.value_size + column];
        element *= decay;
        predicted += element * keys[i];
      }
      const float error = s.corrects ? v[at] - predicted : v[at], update = error * b[head.one(s, token)];
      for (int i = 0; i < s.key_size; i++) {
        float &element = state[i * s.value_size + column];
        element += update * keys[i];
        result += element * queries[i];
      }
      if (s.corrects) errors[at] = error;
      o[at] = result;
    }
}

// The state after a token, from the one before it. Threads write their own columns.
__device__ void advance(const float *k, const float *g, const float *b, const int *positions, const float *errors, const Head &head, const Sizes &s,
                        long long token, const float *from, float *to) {
  const float decay = decay_of(g, positions, token, head.one(s, token)), beta = b[head.one(s, token)];
  for (int column = threadIdx.x; column < s.value_size; column += blockDim.x) {
    const float update = errors[head.value(s, token) + column] * beta;
    for (int i = 0; i < s.key_size; i++) {
      const int at = i * s.value_size + column;
      to[at] = from[at] * decay + update * k[head.key(s, token) + i];
    }
  }
}

__device__ float over_warp(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}

// As in per-instruction-set/delta-steps.cc. Gradients of q and k are those of a value head.
// @param memory zeroed, for each block: states before each group, states in a group, the state's gradient, and three rows
extern "C" __global__ void gradient(const float *q, const float *k, const float *g, const float *b, const int *positions, const float *errors,
                                    const float *d_o, float *memory, float *d_q, float *d_k, float *d_v, float *d_g, float *d_b, const Sizes s) {
  const Head head(s);
  const long long size = (long long)s.key_size * s.value_size;
  const int groups = (s.length + group_tokens - 1) / group_tokens, warp = threadIdx.x / 32, warps = blockDim.x / 32, lane = threadIdx.x % 32;
  float *before = memory + blockIdx.x * ((groups + group_tokens + 2) * size + 2 * s.value_size), *states = before + groups * size;
  float *d_state = states + (group_tokens + 1) * size, *u = d_state + size, *d_values = u + s.value_size;
  for (int group = 0; group + 1 < groups; group++)
    for (int i = 0; i < group_tokens; i++)
      advance(k, g, b, positions, errors, head, s, head.first + group * group_tokens + i, before + (group + (i > 0)) * size, before + (group + 1) * size);
  for (int group = groups - 1; group >= 0; group--) {
    const int begin = group * group_tokens, count = s.length - begin < group_tokens ? s.length - begin : group_tokens;
    for (int i = 0; i < count; i++)
      advance(k, g, b, positions, errors, head, s, head.first + begin + i, i == 0 ? before + group * size : states + i * size, states + (i + 1) * size);
    for (int i = count - 1; i >= 0; i--) {
      const long long token = head.first + begin + i, one = head.one(s, token);
      const float *start = i == 0 ? before + group * size : states + i * size, *after = states + (i + 1) * size;
      const float *keys = k + head.key(s, token), *queries = q + head.key(s, token), *result = d_o + head.value(s, token);
      const float decay = decay_of(g, positions, token, one), beta = b[one];
      float of_beta = 0.0f, of_decay = 0.0f;
      for (int column = threadIdx.x; column < s.value_size; column += blockDim.x) {
        const float error = errors[head.value(s, token) + column];
        float d_u = 0.0f;
        for (int j = 0; j < s.key_size; j++) {
          float &d_element = d_state[j * s.value_size + column];
          d_element += result[column] * queries[j];
          d_u += d_element * keys[j];
        }
        u[column] = error * beta;
        d_values[column] = s.corrects ? d_u * beta : 0.0f;
        d_v[head.value(s, token) + column] = d_u * beta;
        of_beta += d_u * error;
      }
      __syncthreads();
      for (int j = warp; j < s.key_size; j += warps) {
        float of_query = 0.0f, of_key = 0.0f;
        for (int column = lane; column < s.value_size; column += 32) {
          const int at = j * s.value_size + column;
          of_query += after[at] * result[column];
          of_key += d_state[at] * u[column] - decay * start[at] * d_values[column];
        }
        of_query = over_warp(of_query);
        of_key = over_warp(of_key);
        if (lane == 0) {
          d_q[head.own_key(s, token) + j] = of_query;
          d_k[head.own_key(s, token) + j] = of_key;
        }
      }
      __syncthreads();
      for (int column = threadIdx.x; column < s.value_size; column += blockDim.x)
        for (int j = 0; j < s.key_size; j++) {
          float &d_element = d_state[j * s.value_size + column];
          const float decayed = start[j * s.value_size + column] * decay;
          d_element -= d_values[column] * keys[j];
          of_decay += d_element * decayed;
          d_element *= decay;
        }
      of_beta = over_block<Sum>(of_beta);
      of_decay = over_block<Sum>(of_decay);
      if (threadIdx.x == 0) {
        d_b[one] = of_beta;
        d_g[one] = of_decay;
      }
      __syncthreads();
    }
  }
}

// Sums over the value heads that share a key head: [tokens, value_heads, key_size] to [tokens, key_heads, key_size].
extern "C" __global__ void sum_shared(const float *from, float *to, long long count, const Sizes s) {
  const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return;
  const int shared = s.value_heads / s.key_heads;
  const long long key_head = index / s.key_size;  // of all tokens
  float sum = 0.0f;
  for (int i = 0; i < shared; i++) sum += from[(key_head * shared + i) * s.key_size + index % s.key_size];
  to[index] = sum;
}
)cuda";

// As in the source.
struct SourceSizes {
  int32_t length, key_heads, value_heads, key_size, value_size, corrects;
};

std::shared_ptr<Program> program() {
  static const std::shared_ptr<Program> made = Program::shared(absl::StrCat(kFunctions, "constexpr int group_tokens = ", kGroup, ";\n", kSource));
  return made;
}

SourceSizes in_source(const DeltaSizes &sizes, bool corrects) {
  return {int32_t(sizes.length),   int32_t(sizes.key_heads),  int32_t(sizes.value_heads),
          int32_t(sizes.key_size), int32_t(sizes.value_size), int32_t(corrects)};
}

absl::Status allocate_zeros(tf::OpKernelContext *context, const StreamScope &scope, int64_t floats, tf::Tensor *tensor) {
  const auto status = context->allocate_temp(tf::DT_FLOAT, {floats}, tensor);
  return status.ok() ? fill_zeros(scope, tensor) : status;
}

template <bool corrects>
class DeltaRule : public DeltaKernel {
 public:
  using DeltaKernel::DeltaKernel;
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes sizes;
    if (!read_sizes(context, &sizes)) return;
    tf::Tensor *o = nullptr, *errors = nullptr, states;
    OP_REQUIRES_OK(context, context->allocate_output(0, context->input(2).shape(), &o));
    if (corrects) OP_REQUIRES_OK(context, context->allocate_output(1, context->input(2).shape(), &errors));
    const int64_t blocks = sizes.rows * sizes.value_heads;
    if (o->NumElements() == 0) return;
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    OP_REQUIRES_OK(context, allocate_zeros(context, scope, blocks * sizes.key_size * sizes.value_size, &states));
    const void *inputs[6];
    for (int i = 0; i < 6; i++) inputs[i] = context->input(i).data();
    const void *memory = states.data(), *to = o->data(), *of_errors = corrects ? errors->data() : nullptr;
    const SourceSizes given = in_source(sizes, corrects);
    OP_REQUIRES_OK(context,
                   program()->launch(scope, "forward", blocks, threads_for_row(sizes.value_size),
                                     {&inputs[0], &inputs[1], &inputs[2], &inputs[3], &inputs[4], &inputs[5], &memory, &to, &of_errors, &given}));
  }
};

template <bool corrects>
class DeltaRuleGradient : public DeltaKernel {
 public:
  using DeltaKernel::DeltaKernel;
  void Compute(tf::OpKernelContext *context) override {
    DeltaSizes sizes;
    if (!read_sizes(context, &sizes)) return;
    tf::Tensor *out[5], memory, of_heads[2];
    for (int i = 0; i < 5; i++) OP_REQUIRES_OK(context, context->allocate_output(i, context->input(i).shape(), &out[i]));
    if (out[2]->NumElements() == 0) return;
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    const int64_t blocks = sizes.rows * sizes.value_heads, size = sizes.key_size * sizes.value_size, tokens = sizes.rows * sizes.length;
    const int64_t groups = (sizes.length + kGroup - 1) / kGroup;
    OP_REQUIRES_OK(context, allocate_zeros(context, scope, blocks * ((groups + kGroup + 2) * size + 2 * sizes.value_size), &memory));
    for (tf::Tensor &tensor : of_heads)
      OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_FLOAT, {tokens * sizes.value_heads * sizes.key_size}, &tensor));
    const void *q = context->input(0).data(), *k = context->input(1).data(), *g = context->input(3).data(), *b = context->input(4).data(),
               *positions = context->input(5).data(), *errors = context->input(corrects ? 6 : 2).data(),
               *d_o = context->input(corrects ? 7 : 6).data(), *states = memory.data(), *d_q = of_heads[0].data(), *d_k = of_heads[1].data(),
               *d_v = out[2]->data(), *d_g = out[3]->data(), *d_b = out[4]->data();
    const SourceSizes given = in_source(sizes, corrects);
    OP_REQUIRES_OK(context, program()->launch(scope, "gradient", blocks, threads_for_row(sizes.value_size),
                                              {&q, &k, &g, &b, &positions, &errors, &d_o, &states, &d_q, &d_k, &d_v, &d_g, &d_b, &given}));
    for (int i = 0; i < 2; i++) {
      const int64_t count = out[i]->NumElements();
      const void *from = of_heads[i].data(), *to = out[i]->data();
      OP_REQUIRES_OK(context, program()->launch_each(scope, "sum_shared", count, {&from, &to, &count, &given}));
    }
  }
};

REGISTER_FOR_GPU(Name("GraftDeltaRule"), DeltaRule<true>);
REGISTER_FOR_GPU(Name("GraftDeltaRuleGradient"), DeltaRuleGradient<true>);
REGISTER_FOR_GPU(Name("GraftStateSpace"), DeltaRule<false>);
REGISTER_FOR_GPU(Name("GraftStateSpaceGradient"), DeltaRuleGradient<false>);

}  // namespace
}  // namespace graft::gpu
