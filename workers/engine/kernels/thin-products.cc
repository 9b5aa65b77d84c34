// Products with a matrix of few rows, as LoRA's are: general kernels are made for large ones, and spend their time on rearranging the other matrix.
// The long axis is that of the tokens; `t` is [rank, columns], or [columns, rank] when it is transposed.
#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "float-access.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tile-operations.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Rows that are worked on at a time: they stay in the second-level cache.
constexpr int64_t kRows = 32;

// A matrix [rows, columns] as it is, or of [columns, rows] turned over, a block of it at a time; zeros in the columns up to the stride.
std::vector<float> table_of(const tf::Tensor &t, bool turned, int64_t rows, int64_t columns, int64_t stride) {
  std::vector<float> given(rows * columns), table(rows * stride, 0.0f);
  load(t, 0, given.data(), rows * columns);
  constexpr int64_t block = 16;
  if (!turned)
    for (int64_t row = 0; row < rows; row++) std::memcpy(table.data() + row * stride, given.data() + row * columns, columns * sizeof(float));
  else
    for (int64_t first = 0; first < columns; first += block)
      for (int64_t row = 0; row < rows; row++)
        for (int64_t column = first; column < std::min(first + block, columns); column++) table[row * stride + column] = given[column * rows + row];
  return table;
}

// A thread's buffer for whole rows, zeros in the columns past the last.
class RowBuffer {
 public:
  RowBuffer(int64_t columns, int64_t rows) : columns_(columns), stride_(padded(columns)), memory_(rows * stride_, 0.0f) {}
  float *data() { return memory_.data(); }
  void read(const tf::Tensor &x, int64_t first, int64_t rows) {
    if (columns_ == stride_)
      load(x, first * columns_, data(), rows * columns_);
    else
      for (int64_t i = 0; i < rows; i++) load(x, (first + i) * columns_, data() + i * stride_, columns_);
  }
  void write(tf::Tensor *out, int64_t first, int64_t rows) {
    if (columns_ == stride_)
      store(data(), out, first * columns_, rows * columns_);
    else
      for (int64_t i = 0; i < rows; i++) store(data() + i * stride_, out, (first + i) * columns_, columns_);
  }
  void clear() { std::fill(memory_.begin(), memory_.end(), 0.0f); }

 private:
  const int64_t columns_, stride_;
  std::vector<float> memory_;
};

void parallel(tf::OpKernelContext *context, int64_t units, int64_t cycles, const std::function<void(int64_t, int64_t)> &work) {
  context->device()->tensorflow_cpu_worker_threads()->workers->ParallelFor(units, std::max<int64_t>(cycles, 1), work);
}

class ThinProduct : public tf::OpKernel {
 public:
  explicit ThinProduct(tf::OpKernelConstruction *construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
  }

 protected:
  bool matrices(tf::OpKernelContext *context, int count) {
    for (int i = 0; i < count; i++)
      if (context->input(i).dims() != 2) {
        context->CtxFailure(
            tf::errors::InvalidArgument("input ", i, " of ", name(), " is ", context->input(i).shape().DebugString(), " and no matrix"));
        return false;
      }
    return true;
  }

  bool transposed_;
};

// H [rows, rank] · T, and Y [rows, columns] added to it when there is one.
class RankUpdate : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!matrices(context, context->num_inputs())) return;
    const tf::Tensor &h = context->input(0), &t = context->input(1);
    const tf::Tensor *y = context->num_inputs() > 2 ? &context->input(2) : nullptr;
    const int64_t rows = h.dim_size(0), rank = h.dim_size(1), columns = t.dim_size(transposed_ ? 0 : 1);
    OP_REQUIRES(context, t.dim_size(transposed_ ? 1 : 0) == rank && (y == nullptr || (y->dim_size(0) == rows && y->dim_size(1) == columns)),
                tf::errors::InvalidArgument(name(), " of matrices that do not fit"));
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {rows, columns}, &out));
    const std::vector<float> table = table_of(t, transposed_, rank, columns, padded(columns));
    const int64_t blocks = (rows + kRows - 1) / kRows;
    parallel(context, blocks, kRows * columns * rank / 16, [&](int64_t begin, int64_t end) {
      RowBuffer sum(columns, kRows);
      std::vector<float> of_h(kRows * rank);
      for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * kRows, count = std::min(kRows, rows - first);
        load(h, first * rank, of_h.data(), count * rank);
        if (y != nullptr)
          sum.read(*y, first, count);
        else
          sum.clear();
        const int64_t stride = padded(columns);
        tile_operations().add_product(of_h.data(), rank, table.data(), stride, sum.data(), stride, count, rank, stride);
        sum.write(out, first, count);
      }
    });
  }
};

// X [rows, columns] · Tᵀ, in f32.
class RankReduce : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!matrices(context, 2)) return;
    const tf::Tensor &x = context->input(0), &t = context->input(1);
    const int64_t rows = x.dim_size(0), columns = x.dim_size(1), rank = t.dim_size(transposed_ ? 1 : 0);
    OP_REQUIRES(context, t.dim_size(transposed_ ? 0 : 1) == columns, tf::errors::InvalidArgument(name(), " of matrices that do not fit"));
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {rows, rank}, &out));
    const int64_t stride = padded(rank, kRankBlock);
    const std::vector<float> table = table_of(t, !transposed_, columns, rank, stride);
    const int64_t blocks = (rows + kRows - 1) / kRows;
    parallel(context, blocks, kRows * columns * stride / 16, [&](int64_t begin, int64_t end) {
      std::vector<float> of_x(kRows * columns), sums(kRows * stride);
      for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * kRows, count = std::min(kRows, rows - first);
        load(x, first * columns, of_x.data(), count * columns);
        tile_operations().rank_reduce(of_x.data(), table.data(), sums.data(), count, columns, stride);
        for (int64_t i = 0; i < count; i++)
          std::memcpy(out->flat<float>().data() + (first + i) * rank, sums.data() + i * stride, rank * sizeof(float));
      }
    });
  }
};

// Hᵀ · X with H [rows, rank] and X [rows, columns], in f32: [rank, columns], or [columns, rank]. Each thread has columns of its own, so the sum over
// the rows has one order.
class RankOuter : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!matrices(context, 2)) return;
    const tf::Tensor &h = context->input(0), &x = context->input(1);
    const int64_t rows = h.dim_size(0), rank = h.dim_size(1), columns = x.dim_size(1);
    OP_REQUIRES(context, x.dim_size(0) == rows, tf::errors::InvalidArgument(name(), " of matrices that do not fit"));
    tf::Tensor *out = nullptr;
    const tf::TensorShape shape = transposed_ ? tf::TensorShape({columns, rank}) : tf::TensorShape({rank, columns});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &out));
    std::vector<float> of_h(rows * rank);
    load(h, 0, of_h.data(), rows * rank);
    const int64_t blocks = padded(columns) / kColumnBlock;
    parallel(context, blocks, rows * kColumnBlock * rank / 16, [&](int64_t begin, int64_t end) {
      std::vector<float> of_x(rows * kColumnBlock, 0.0f), sum(rank * kColumnBlock);
      for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * kColumnBlock, count = std::min(kColumnBlock, columns - first);
        for (int64_t i = 0; i < rows; i++) load(x, i * columns + first, of_x.data() + i * kColumnBlock, count);
        std::fill(sum.begin(), sum.end(), 0.0f);
        tile_operations().add_transposed_product(of_h.data(), rank, of_x.data(), kColumnBlock, sum.data(), kColumnBlock, rows, rank, kColumnBlock);
        float *into = out->flat<float>().data();
        for (int64_t j = 0; j < rank; j++)
          for (int64_t column = 0; column < count; column++)
            into[transposed_ ? (first + column) * rank + j : j * columns + first + column] = sum[j * kColumnBlock + column];
      }
    });
  }
};

// dY·B and dYᵀ·H, of dY [rows, columns], H [rows, rank] and B [columns, rank], in f32. The rows are shared out among as many parts whatever the
// number of threads, and the parts' sums added in one order.
class ExpansionGradient : public tf::OpKernel {
 public:
  using OpKernel::OpKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &dy = context->input(0), &h = context->input(1), &b = context->input(2);
    OP_REQUIRES(context,
                dy.dims() == 2 && h.dims() == 2 && b.dims() == 2 && h.dim_size(0) == dy.dim_size(0) && b.dim_size(0) == dy.dim_size(1) &&
                    h.dim_size(1) == b.dim_size(1),
                tf::errors::InvalidArgument(name(), " of matrices that do not fit"));
    const int64_t rows = dy.dim_size(0), columns = dy.dim_size(1), rank = h.dim_size(1), stride = padded(columns);
    tf::Tensor *dh = nullptr, *db = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, h.shape(), &dh));
    OP_REQUIRES_OK(context, context->allocate_output(1, b.shape(), &db));
    const int64_t rank_stride = padded(rank, kRankBlock);
    const std::vector<float> table = table_of(b, false, columns, rank, rank_stride);
    const float *of_h = h.flat<float>().data();
    const int64_t blocks = (rows + kRows - 1) / kRows, parts = std::min<int64_t>(kParts, blocks),
                  of_part = (blocks + parts - 1) / std::max<int64_t>(parts, 1);
    std::vector<float> sums(parts * rank * stride, 0.0f);
    parallel(context, parts, of_part * kRows * columns * rank / 8, [&](int64_t begin, int64_t end) {
      std::vector<float> of_dy(kRows * stride, 0.0f), dense(stride == columns ? 0 : kRows * columns), reduced(kRows * rank_stride);
      for (int64_t block = begin * of_part; block < std::min(end * of_part, blocks); block++) {
        const int64_t first = block * kRows, count = std::min(kRows, rows - first);
        float *rows_of_dy = dense.empty() ? of_dy.data() : dense.data();
        load(dy, first * columns, rows_of_dy, count * columns);
        for (int64_t i = 0; i < count && !dense.empty(); i++)
          std::memcpy(of_dy.data() + i * stride, rows_of_dy + i * columns, columns * sizeof(float));
        tile_operations().rank_reduce(rows_of_dy, table.data(), reduced.data(), count, columns, rank_stride);
        for (int64_t i = 0; i < count; i++)
          std::memcpy(dh->flat<float>().data() + (first + i) * rank, reduced.data() + i * rank_stride, rank * sizeof(float));
        tile_operations().add_transposed_product(of_h + first * rank, rank, of_dy.data(), stride, sums.data() + block / of_part * rank * stride,
                                                 stride, count, rank, stride);
      }
    });
    float *into = db->flat<float>().data();
    parallel(context, stride / kColumnBlock, parts * rank * kColumnBlock / 4, [&](int64_t begin, int64_t end) {
      for (int64_t column = begin * kColumnBlock; column < std::min(end * kColumnBlock, columns); column++)
        for (int64_t j = 0; j < rank; j++) {
          float sum = 0.0f;
          for (int64_t part = 0; part < parts; part++) sum += sums[(part * rank + j) * stride + column];
          into[column * rank + j] = sum;
        }
    });
  }

 private:
  static constexpr int64_t kParts = 8;
};

#define TYPES "list({float, bfloat16})"
REGISTER_OP("GraftRankUpdate")
    .Input("inputs: Tin")
    .Output("out: Tout")
    .Attr("Tin: " TYPES)
    .Attr("Tout: {float, bfloat16}")
    .Attr("transposed: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftRankReduce").Input("inputs: Tin").Output("out: float").Attr("Tin: " TYPES).Attr("transposed: bool").SetShapeFn(unknown_shapes);
REGISTER_OP("GraftRankOuter").Input("inputs: Tin").Output("out: float").Attr("Tin: " TYPES).Attr("transposed: bool").SetShapeFn(unknown_shapes);

REGISTER_OP("GraftExpansionGradient")
    .Input("d_y: T")
    .Input("h: float")
    .Input("b: float")
    .Output("d_h: float")
    .Output("d_b: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(unknown_shapes);

REGISTER_KERNEL_BUILDER(Name("GraftExpansionGradient").Device(tf::DEVICE_CPU), ExpansionGradient);
REGISTER_KERNEL_BUILDER(Name("GraftRankUpdate").Device(tf::DEVICE_CPU), RankUpdate);
REGISTER_KERNEL_BUILDER(Name("GraftRankReduce").Device(tf::DEVICE_CPU), RankReduce);
REGISTER_KERNEL_BUILDER(Name("GraftRankOuter").Device(tf::DEVICE_CPU), RankOuter);

}  // namespace
}  // namespace graft
