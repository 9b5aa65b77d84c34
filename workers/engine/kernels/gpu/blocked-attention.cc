// GraftAttention and GraftAttentionGradient (attention.h) for a GPU. They take a block of queries at a time, so that memory for scores does not grow
// with the square of the length: cuBLAS multiplies all heads' at once, and kernels turn scores into probabilities, and into their gradients.
#include <algorithm>
#include <cstdlib>

#include "attention.h"
#include "gpu/functions.h"
#include "gpu/registration.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

// The most scores in memory, of all rows and heads: 256 MiB in f32. Tests make it smaller.
int64_t most_scores() {
  static const char *const given = std::getenv("TF_GRAFT_MOST_SCORES");
  return given == nullptr ? 64 << 20 : std::atoll(given);
}

// A query's row is blockIdx.x; scores are [rows · kv heads, groups, tokens, keys] for queries from first_query and keys from first_key.
constexpr char kSource[] = R"cuda(
struct Shape { int length, heads, groups, size, first_query, tokens, first_key, keys; float scale, cap; };

// [rows, length, heads, size] to [rows · heads / groups, groups, tokens, size], for tokens from first_query.
__device__ bool place(const Shape &s, long long count, long long *heads, long long *tokens) {
  const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (index >= count) return false;
  const int element = index % s.size, token = index / s.size % s.tokens, group = index / s.size / s.tokens % s.groups;
  const long long kv = index / s.size / s.tokens / s.groups;
  const int kv_heads = s.heads / s.groups;
  const long long row = kv / kv_heads, head = kv % kv_heads * s.groups + group;
  *heads = index;
  *tokens = ((row * s.length + s.first_query + token) * s.heads + head) * s.size + element;
  return true;
}
template <class Element>
__device__ void to_heads(const Element *x, Element *out, long long count, const Shape &s) {
  long long heads, tokens;
  if (place(s, count, &heads, &tokens)) out[heads] = x[tokens];
}
template <class From, class To>
__device__ void from_heads(const From *x, To *out, long long count, const Shape &s) {
  long long heads, tokens;
  if (place(s, count, &heads, &tokens)) store(out + tokens, load(x + heads));
}

// The first token that each token attends to. A block has a row; each of its threads goes over neighbouring tokens.
extern "C" __global__ void first_visible(const int *segments, int *first, int length, int window) {
  __shared__ int begins[row_threads];
  const int *row = segments + (long long)blockIdx.x * length;
  const int each = (length + blockDim.x - 1) / blockDim.x, from = threadIdx.x * each, to = from + each < length ? from + each : length;
  int begin = 0;
  for (int i = from; i < to; i++)
    if (i > 0 && row[i] != row[i - 1]) begin = i;
  begins[threadIdx.x] = begin;
  __syncthreads();
  begin = 0;
  for (int i = 0; i < (int)threadIdx.x; i++) begin = begins[i] > begin ? begins[i] : begin;
  for (int i = from; i < to; i++) {
    if (i > 0 && row[i] != row[i - 1]) begin = i;
    const int limit = window > 0 ? i - window + 1 : 0;
    first[(long long)blockIdx.x * length + i] = limit > begin ? limit : begin;
  }
}

struct Query {
  long long log;  // its place in [rows, heads, length]
  int head, begin, end;  // of the keys that it attends to
  __device__ Query(const Shape &s, const int *first) {
    const int token = blockIdx.x % s.tokens, group = blockIdx.x / s.tokens % s.groups, kv = blockIdx.x / s.tokens / s.groups;
    const int kv_heads = s.heads / s.groups, row = kv / kv_heads, query = s.first_query + token;
    head = kv % kv_heads * s.groups + group;
    log = ((long long)row * s.heads + head) * s.length + query;
    begin = first[(long long)row * s.length + query] - s.first_key;
    end = query + 1 - s.first_key;
  }
  __device__ bool sees(int key) const { return key >= begin && key < end; }
};
__device__ float capped(const Shape &s, float x) { return s.cap == 0.0f ? s.scale * x : tanhf(s.scale / s.cap * x); }
__device__ float score(const Shape &s, float x) { return s.cap == 0.0f ? capped(s, x) : s.cap * capped(s, x); }

template <class Element>
__device__ void probabilities(const float *scores, Element *p, float *logs, const int *first, const float *sinks, const Shape &s) {
  const Query query(s, first);
  const float *x = scores + (long long)blockIdx.x * s.keys;
  float largest = sinks == nullptr ? -__int_as_float(0x7f800000) : sinks[query.head], sum = 0.0f;
  for (int key = threadIdx.x; key < s.keys; key += blockDim.x)
    if (query.sees(key)) largest = Largest::of(score(s, x[key]), largest);
  largest = over_block<Largest>(largest);
  for (int key = threadIdx.x; key < s.keys; key += blockDim.x)
    if (query.sees(key)) sum += expf(score(s, x[key]) - largest);
  sum = over_block<Sum>(sum) + (sinks == nullptr ? 0.0f : expf(sinks[query.head] - largest));
  for (int key = threadIdx.x; key < s.keys; key += blockDim.x)
    store(p + (long long)blockIdx.x * s.keys + key, query.sees(key) ? expf(score(s, x[key]) - largest) / sum : 0.0f);
  if (threadIdx.x == 0) logs[query.log] = largest + logf(sum);
}

template <class Element>
__device__ void score_gradients(const float *scores, const float *d_p, Element *p, Element *d_s, const float *logs, const int *first, const Shape &s) {
  const Query query(s, first);
  const float *x = scores + (long long)blockIdx.x * s.keys, *d_x = d_p + (long long)blockIdx.x * s.keys, log = logs[query.log];
  float sum = 0.0f;
  for (int key = threadIdx.x; key < s.keys; key += blockDim.x)
    if (query.sees(key)) sum += expf(score(s, x[key]) - log) * d_x[key];
  sum = over_block<Sum>(sum);
  for (int key = threadIdx.x; key < s.keys; key += blockDim.x) {
    const bool sees = query.sees(key);
    const float probability = sees ? expf(score(s, x[key]) - log) : 0.0f, tanh = s.cap == 0.0f ? 0.0f : capped(s, x[key]);
    const float gradient = sees ? probability * (d_x[key] - sum) * (1.0f - tanh * tanh) : 0.0f;
    store(p + (long long)blockIdx.x * s.keys + key, probability);
    store(d_s + (long long)blockIdx.x * s.keys + key, gradient);
  }
}

extern "C" __global__ void to_heads_float(const float *x, float *out, long long count, const Shape s) { to_heads(x, out, count, s); }
extern "C" __global__ void to_heads_bfloat16(const unsigned short *x, unsigned short *out, long long count, const Shape s) { to_heads(x, out, count, s); }
extern "C" __global__ void from_heads_float(const float *x, float *out, long long count, const Shape s) { from_heads(x, out, count, s); }
extern "C" __global__ void from_heads_bfloat16(const float *x, unsigned short *out, long long count, const Shape s) { from_heads(x, out, count, s); }
extern "C" __global__ void probabilities_float(const float *scores, float *p, float *logs, const int *first, const float *sinks, const Shape s) {
  probabilities(scores, p, logs, first, sinks, s);
}
extern "C" __global__ void probabilities_bfloat16(const float *scores, unsigned short *p, float *logs, const int *first, const float *sinks, const Shape s) {
  probabilities(scores, p, logs, first, sinks, s);
}
extern "C" __global__ void score_gradients_float(const float *scores, const float *d_p, float *p, float *d_s, const float *logs, const int *first, const Shape s) {
  score_gradients(scores, d_p, p, d_s, logs, first, s);
}
extern "C" __global__ void score_gradients_bfloat16(const float *scores, const float *d_p, unsigned short *p, unsigned short *d_s, const float *logs, const int *first, const Shape s) {
  score_gradients(scores, d_p, p, d_s, logs, first, s);
}
)cuda";

// As in the source.
struct Shape {
  int32_t length, heads, groups, size, first_query, tokens, first_key, keys;
  float scale, cap;
};

std::shared_ptr<Program> program() {
  static const std::shared_ptr<Program> made = Program::shared(absl::StrCat(kFunctions, "constexpr int row_threads = ", kThreads, ";\n", kSource));
  return made;
}

// What one run of a kernel works with.
class Pass {
 public:
  Pass(tf::OpKernelContext *context, const StreamScope &scope, const Sizes &sizes, tf::DataType type)
      : context_(context), scope_(scope), sizes_(sizes), type_(type) {}

  int64_t groups() const { return sizes_.heads / sizes_.kv_heads; }
  int64_t kv_count() const { return sizes_.rows * sizes_.kv_heads; }
  // Queries in a block.
  int64_t queries() const {
    const int64_t all = sizes_.rows * sizes_.heads * sizes_.length, most = std::max<int64_t>(most_scores() / std::max<int64_t>(all, 1), 1);
    return std::min(sizes_.length, most >= kQueries ? most / kQueries * kQueries : most);
  }

  absl::Status allocate(tf::DataType type, int64_t elements, tf::Tensor *tensor) { return context_->allocate_temp(type, {elements}, tensor); }

  absl::Status first_visible(const tf::Tensor &segments, int64_t window, tf::Tensor *first) {
    if (const auto status = allocate(tf::DT_INT32, sizes_.rows * sizes_.length, first); !status.ok()) return status;
    const void *from = segments.data(), *to = first->data();
    const auto length = static_cast<int32_t>(sizes_.length), limit = static_cast<int32_t>(window);
    return program()->launch(scope_, "first_visible", sizes_.rows, kThreads, {&from, &to, &length, &limit});
  }

  // All tokens of keys or values, or their gradients: [rows · kv heads, length, size].
  Shape of_keys() const { return {int(sizes_.length), int(sizes_.kv_heads), 1, int(sizes_.size), 0, int(sizes_.length), 0, 0, 0, 0}; }
  int64_t key_elements() const { return kv_count() * sizes_.length * sizes_.size; }
  int64_t query_elements(const Shape &shape) const { return kv_count() * groups() * shape.tokens * sizes_.size; }

  absl::Status to_heads(const tf::Tensor &x, const Shape &shape, int64_t elements, tf::Tensor *out) {
    const void *from = x.data(), *to = out->data();
    return program()->launch_each(scope_, for_type("to_heads", type_), elements, {&from, &to, &elements, &shape});
  }
  absl::Status from_heads(const tf::Tensor &x, const Shape &shape, int64_t elements, tf::Tensor *out) {
    const void *from = x.data(), *to = out->data();
    return program()->launch_each(scope_, for_type("from_heads", type_), elements, {&from, &to, &elements, &shape});
  }
  absl::Status launch_rows(const std::string &function, const Shape &shape, std::initializer_list<const void *> arguments) {
    return program()->launch(scope_, for_type(function, type_), kv_count() * groups() * shape.tokens, threads_for_row(shape.keys), arguments);
  }

  // The scores' form of products: of each key head's queries with its keys. `inner` is the size of a head.
  absl::Status scores(const tf::Tensor &q, const tf::Tensor &k, const Shape &shape, tf::Tensor *out) {
    Product product{type_, q.data(), at(k, shape), out->data(), groups() * shape.tokens, sizes_.size, shape.keys, tf::DT_FLOAT};
    product.transposes_w = true;
    product.w_row = sizes_.size;
    return batched(product, groups() * shape.tokens * sizes_.size, sizes_.length * sizes_.size, groups() * shape.tokens * shape.keys);
  }
  // Of what is like scores with keys or values; f32.
  absl::Status with_keys(const tf::Tensor &p, const tf::Tensor &v, const Shape &shape, float factor, tf::Tensor *out) {
    Product product{type_, p.data(), at(v, shape), out->data(), groups() * shape.tokens, shape.keys, sizes_.size, tf::DT_FLOAT};
    product.factor = factor;
    return batched(product, groups() * shape.tokens * shape.keys, sizes_.length * sizes_.size, groups() * shape.tokens * sizes_.size);
  }
  // Adds to the keys' or the values' gradient what the queries in the block give; f32.
  absl::Status add_transposed(const tf::Tensor &p, const tf::Tensor &d_o, const Shape &shape, float factor, tf::Tensor *sum) {
    void *into = static_cast<float *>(sum->data()) + shape.first_key * sizes_.size;
    Product product{type_, p.data(), d_o.data(), into, shape.keys, groups() * shape.tokens, sizes_.size, tf::DT_FLOAT};
    product.transposes_x = true;
    product.x_row = shape.keys;
    product.factor = factor;
    product.kept = 1;
    return batched(product, groups() * shape.tokens * shape.keys, groups() * shape.tokens * sizes_.size, sizes_.length * sizes_.size);
  }

 private:
  tf::OpKernelContext *const context_;
  const StreamScope &scope_;
  const Sizes &sizes_;
  const tf::DataType type_;

  const void *at(const tf::Tensor &keys, const Shape &shape) const {
    return static_cast<const char *>(keys.data()) + shape.first_key * sizes_.size * tf::DataTypeSize(type_);
  }
  absl::Status batched(Product product, int64_t x_step, int64_t w_step, int64_t out_step) {
    product.count = kv_count();
    product.x_step = x_step;
    product.w_step = w_step;
    product.out_step = out_step;
    return multiply(scope_, product);
  }
};

class BlockedAttention : public Attention {
 public:
  using Attention::Attention;

 protected:
  // The block of queries that begins with one. Keys before the window are left out.
  Shape block(const Sizes &sizes, int64_t first, int64_t queries) const {
    const int64_t tokens = std::min(queries, sizes.length - first), first_key = window_ > 0 ? std::max<int64_t>(0, first - window_ + 1) : 0;
    return {int(sizes.length), int(sizes.heads), int(sizes.heads / sizes.kv_heads), int(sizes.size), int(first),
            int(tokens),       int(first_key),   int(first + tokens - first_key),   scale_,          soft_cap_};
  }
};

class Forward : public BlockedAttention {
 public:
  using BlockedAttention::BlockedAttention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!read_sizes(context, &sizes) || !check_sinks(context, sizes)) return;
    const tf::Tensor &q = context->input(0);
    tf::Tensor *o = nullptr, *l = nullptr, first, k, v, q_block, scores, p, o_block;
    OP_REQUIRES_OK(context, context->allocate_output(0, q.shape(), &o));
    OP_REQUIRES_OK(context, context->allocate_output(1, {sizes.rows, sizes.heads, sizes.length}, &l));
    if (q.NumElements() == 0) return;
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    Pass pass(context, scope, sizes, q.dtype());
    OP_REQUIRES_OK(context, pass.first_visible(context->input(3), window_, &first));
    OP_REQUIRES_OK(context, pass.allocate(q.dtype(), pass.key_elements(), &k));
    OP_REQUIRES_OK(context, pass.allocate(q.dtype(), pass.key_elements(), &v));
    OP_REQUIRES_OK(context, pass.to_heads(context->input(1), pass.of_keys(), pass.key_elements(), &k));
    OP_REQUIRES_OK(context, pass.to_heads(context->input(2), pass.of_keys(), pass.key_elements(), &v));
    for (int64_t query = 0; query < sizes.length; query += pass.queries()) {
      const Shape shape = block(sizes, query, pass.queries());
      const int64_t in_block = pass.query_elements(shape), score_count = in_block / sizes.size * shape.keys;
      OP_REQUIRES_OK(context, pass.allocate(q.dtype(), in_block, &q_block));
      OP_REQUIRES_OK(context, pass.allocate(tf::DT_FLOAT, in_block, &o_block));
      OP_REQUIRES_OK(context, pass.allocate(tf::DT_FLOAT, score_count, &scores));
      if (q.dtype() == tf::DT_FLOAT)
        p = scores;
      else
        OP_REQUIRES_OK(context, pass.allocate(q.dtype(), score_count, &p));
      OP_REQUIRES_OK(context, pass.to_heads(q, shape, in_block, &q_block));
      OP_REQUIRES_OK(context, pass.scores(q_block, k, shape, &scores));
      const void *from = scores.data(), *to = p.data(), *logs = l->data(), *firsts = first.data();
      const void *sinks = context->num_inputs() == 5 ? context->input(4).data() : nullptr;
      OP_REQUIRES_OK(context, pass.launch_rows("probabilities", shape, {&from, &to, &logs, &firsts, &sinks, &shape}));
      OP_REQUIRES_OK(context, pass.with_keys(p, v, shape, 1, &o_block));
      OP_REQUIRES_OK(context, pass.from_heads(o_block, shape, in_block, o));
    }
  }
};

class Gradient : public BlockedAttention {
 public:
  using BlockedAttention::BlockedAttention;
  void Compute(tf::OpKernelContext *context) override {
    Sizes sizes;
    if (!read_sizes(context, &sizes)) return;
    const tf::Tensor &q = context->input(0), &k = context->input(1), &l = context->input(4), &d_o = context->input(5);
    OP_REQUIRES(context, l.NumElements() == sizes.rows * sizes.heads * sizes.length && d_o.shape() == q.shape(),
                absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes of l and d_o do not match that of q")));
    tf::Tensor *d_q = nullptr, *d_k = nullptr, *d_v = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, q.shape(), &d_q));
    OP_REQUIRES_OK(context, context->allocate_output(1, k.shape(), &d_k));
    OP_REQUIRES_OK(context, context->allocate_output(2, k.shape(), &d_v));
    if (q.NumElements() == 0) return;
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    Pass pass(context, scope, sizes, q.dtype());
    tf::Tensor first, keys, values, key_sums, value_sums, q_block, o_block, scores, d_p, p, d_s, dq_block;
    OP_REQUIRES_OK(context, pass.first_visible(context->input(3), window_, &first));
    for (tf::Tensor *heads : {&keys, &values}) OP_REQUIRES_OK(context, pass.allocate(q.dtype(), pass.key_elements(), heads));
    OP_REQUIRES_OK(context, pass.to_heads(k, pass.of_keys(), pass.key_elements(), &keys));
    OP_REQUIRES_OK(context, pass.to_heads(context->input(2), pass.of_keys(), pass.key_elements(), &values));
    for (tf::Tensor *sums : {&key_sums, &value_sums}) {
      OP_REQUIRES_OK(context, pass.allocate(tf::DT_FLOAT, pass.key_elements(), sums));
      OP_REQUIRES_OK(context, fill_zeros(scope, sums));
    }
    for (int64_t query = 0; query < sizes.length; query += pass.queries()) {
      const Shape shape = block(sizes, query, pass.queries());
      const int64_t in_block = pass.query_elements(shape), score_count = in_block / sizes.size * shape.keys;
      for (tf::Tensor *tensor : {&q_block, &o_block}) OP_REQUIRES_OK(context, pass.allocate(q.dtype(), in_block, tensor));
      for (tf::Tensor *tensor : {&scores, &d_p}) OP_REQUIRES_OK(context, pass.allocate(tf::DT_FLOAT, score_count, tensor));
      OP_REQUIRES_OK(context, pass.allocate(tf::DT_FLOAT, in_block, &dq_block));
      if (q.dtype() == tf::DT_FLOAT) {
        p = scores;
        d_s = d_p;
      } else {
        for (tf::Tensor *tensor : {&p, &d_s}) OP_REQUIRES_OK(context, pass.allocate(q.dtype(), score_count, tensor));
      }
      OP_REQUIRES_OK(context, pass.to_heads(q, shape, in_block, &q_block));
      OP_REQUIRES_OK(context, pass.to_heads(d_o, shape, in_block, &o_block));
      OP_REQUIRES_OK(context, pass.scores(q_block, keys, shape, &scores));
      OP_REQUIRES_OK(context, pass.scores(o_block, values, shape, &d_p));
      const void *of_scores = scores.data(), *of_p = d_p.data(), *to_p = p.data(), *to_s = d_s.data(), *logs = l.data(), *firsts = first.data();
      OP_REQUIRES_OK(context, pass.launch_rows("score_gradients", shape, {&of_scores, &of_p, &to_p, &to_s, &logs, &firsts, &shape}));
      OP_REQUIRES_OK(context, pass.add_transposed(p, o_block, shape, 1, &value_sums));
      OP_REQUIRES_OK(context, pass.add_transposed(d_s, q_block, shape, scale_, &key_sums));
      OP_REQUIRES_OK(context, pass.with_keys(d_s, keys, shape, scale_, &dq_block));
      OP_REQUIRES_OK(context, pass.from_heads(dq_block, shape, in_block, d_q));
    }
    OP_REQUIRES_OK(context, pass.from_heads(key_sums, pass.of_keys(), pass.key_elements(), d_k));
    OP_REQUIRES_OK(context, pass.from_heads(value_sums, pass.of_keys(), pass.key_elements(), d_v));
  }
};

REGISTER_FOR_GPU(Name("GraftAttention"), Forward);
REGISTER_FOR_GPU(Name("GraftAttentionGradient"), Gradient);

}  // namespace
}  // namespace graft::gpu
