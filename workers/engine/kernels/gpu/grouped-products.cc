// GraftExpertProducts and GraftExpertOuter (expert-products.cc) for a GPU: rows are gathered by their experts, of which cuBLAS multiplies one after
// the other. Which expert each row chose is read in main memory.
#include "expert-kernels.h"
#include "expert-rows.h"
#include "gpu/functions.h"
#include "gpu/registration.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

constexpr char kSource[] = R"cuda(
// to[i] = from[order[i] / per_row], or to[order[i]] = from[i].
template <class Element>
__device__ void gather(const Element *from, Element *to, const int *order, long long count, int columns, int per_row) {
  const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) to[index] = from[(long long)(order[index / columns] / per_row) * columns + index % columns];
}
template <class Element>
__device__ void scatter(const Element *from, Element *to, const int *order, long long count, int columns) {
  const long long index = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (index < count) to[(long long)order[index / columns] * columns + index % columns] = from[index];
}
extern "C" __global__ void gather_float(const float *from, float *to, const int *order, long long count, int columns, int per_row) {
  gather(from, to, order, count, columns, per_row);
}
extern "C" __global__ void gather_bfloat16(const unsigned short *from, unsigned short *to, const int *order, long long count, int columns, int per_row) {
  gather(from, to, order, count, columns, per_row);
}
extern "C" __global__ void scatter_float(const float *from, float *to, const int *order, long long count, int columns) {
  scatter(from, to, order, count, columns);
}
extern "C" __global__ void scatter_bfloat16(const unsigned short *from, unsigned short *to, const int *order, long long count, int columns) {
  scatter(from, to, order, count, columns);
}
)cuda";

std::shared_ptr<Program> program() {
  static const std::shared_ptr<Program> made = Program::shared(absl::StrCat(kFunctions, kSource));
  return made;
}

// Choices in the order of their experts.
class Groups {
 public:
  Groups(tf::OpKernelContext *context, const StreamScope &scope) : context_(context), scope_(scope) {}

  // @param experts in main memory. @param count number of experts
  absl::Status of(const tf::Tensor &experts, int64_t count) {
    const int64_t choices = experts.dim_size(0);
    auto blocks = group_by_expert(experts.flat<int32_t>().data(), choices, count, std::max<int64_t>(choices, 1));
    if (!blocks.has_value()) return invalid(context_, "an expert does not exist");
    blocks_ = std::move(*blocks);
    std::vector<int32_t> order;
    for (const ExpertBlock &block : blocks_) order.insert(order.end(), block.choices.begin(), block.choices.end());
    if (const auto status = context_->allocate_temp(tf::DT_INT32, {std::max<int64_t>(choices, 1)}, &order_); !status.ok()) return status;
    return copy_to_gpu(scope_, order.data(), order_.data(), order.size() * sizeof(int32_t));
  }
  const std::vector<ExpertBlock> &blocks() const { return blocks_; }

  // A copy of x [rows, columns] with a row for each choice. @param choices of all rows
  absl::Status gathered(const tf::Tensor &x, int64_t choices, tf::Tensor *out) const {
    const int64_t columns = x.dim_size(1), count = choices * columns;
    if (const auto status = context_->allocate_temp(x.dtype(), {choices, columns}, out); !status.ok() || count == 0) return status;
    const void *from = x.data(), *to = out->data(), *order = order_.data();
    const auto width = static_cast<int32_t>(columns), per_row = static_cast<int32_t>(choices / x.dim_size(0));
    return launch("gather", x.dtype(), count, {&from, &to, &order, &count, &width, &per_row});
  }
  absl::Status scatter(const tf::Tensor &x, tf::Tensor *out) const {
    const int64_t count = x.NumElements();
    const void *from = x.data(), *to = out->data(), *order = order_.data();
    const auto width = static_cast<int32_t>(x.dim_size(1));
    return launch("scatter", x.dtype(), count, {&from, &to, &order, &count, &width});
  }

 private:
  tf::OpKernelContext *const context_;
  const StreamScope &scope_;
  std::vector<ExpertBlock> blocks_;
  tf::Tensor order_;

  absl::Status launch(const std::string &function, tf::DataType type, int64_t count, std::initializer_list<const void *> arguments) const {
    return program()->launch_each(scope_, for_type(function, type), count, arguments);
  }
};

// An element of a tensor of matrices.
char *at(const tf::Tensor &x, int64_t element) { return static_cast<char *>(x.data()) + element * tf::DataTypeSize(x.dtype()); }

class ExpertProducts : public ExpertProductsKernel {
 public:
  using ExpertProductsKernel::ExpertProductsKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &w = context->input(1), &experts = context->input(2);
    OP_REQUIRES(context, x.dtype() == w.dtype(), invalid(context, "rows and experts are of one type on a GPU"));
    tf::Tensor *out = nullptr, rows, products;
    OP_REQUIRES_OK(context, open(context, &out));
    const int64_t choices = experts.dim_size(0), inner = x.dim_size(1), columns = out->dim_size(1);
    if (choices == 0) return;
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    Groups groups(context, scope);
    OP_REQUIRES_OK(context, groups.of(experts, w.dim_size(0)));
    OP_REQUIRES_OK(context, groups.gathered(x, choices, &rows));
    OP_REQUIRES_OK(context, context->allocate_temp(x.dtype(), {choices, columns}, &products));
    int64_t first = 0;
    for (const ExpertBlock &block : groups.blocks()) {
      const auto count = static_cast<int64_t>(block.choices.size());
      Product product{x.dtype(), at(rows, first * inner), at(w, block.expert * inner * columns), at(products, first * columns), count, inner,
                      columns};
      product.transposes_w = transposed_;
      product.w_row = transposed_ ? inner : columns;
      OP_REQUIRES_OK(context, multiply(scope, product));
      first += count;
    }
    OP_REQUIRES_OK(context, groups.scatter(products, out));
  }
};

class ExpertOuter : public ExpertOuterKernel {
 public:
  using ExpertOuterKernel::ExpertOuterKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &a = context->input(0), &b = context->input(1), &experts = context->input(2);
    const int64_t choices = experts.dim_size(0), p = a.dim_size(1), q = b.dim_size(1);
    tf::Tensor *out = nullptr, left, right;
    OP_REQUIRES_OK(context, open(context, &out));
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    Groups groups(context, scope);
    OP_REQUIRES_OK(context, groups.of(experts, count_));
    if (groups.blocks().size() < static_cast<size_t>(count_)) OP_REQUIRES_OK(context, fill_zeros(scope, out));
    if (choices == 0) return;
    OP_REQUIRES_OK(context, groups.gathered(a, choices, &left));
    OP_REQUIRES_OK(context, groups.gathered(b, choices, &right));
    int64_t first = 0;
    for (const ExpertBlock &block : groups.blocks()) {
      const auto count = static_cast<int64_t>(block.choices.size());
      Product product{a.dtype(), at(left, first * p), at(right, first * q), at(*out, block.expert * p * q), p, count, q, tf::DT_FLOAT, true};
      OP_REQUIRES_OK(context, multiply(scope, product));
      first += count;
    }
  }
};

REGISTER_FOR_GPU(Name("GraftExpertProducts").HostMemory("experts"), ExpertProducts);
REGISTER_FOR_GPU(Name("GraftExpertOuter").HostMemory("experts"), ExpertOuter);

}  // namespace
}  // namespace graft::gpu
