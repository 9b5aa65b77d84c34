// Products with a matrix of few rows, as LoRA's are: general kernels are made for large ones, and spend their time on rearranging the other matrix.
// The long axis is that of the tokens; `t` is [rank, columns], or [columns, rank] when it is transposed. What is bf16 among the large matrices makes
// the product one of bf16 numbers, summed in f32.
#include <algorithm>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "parallel.h"
#include "tensorflow/core/framework/op.h"
#include "thin-matrices.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

template <class Number>
void outer(tf::OpKernelContext *context, const tf::Tensor &h, const tf::Tensor &x, bool transposed, tf::Tensor *out,
           const std::function<void(int64_t first, int64_t count)> &each) {
  const int64_t columns = x.dim_size(1);
  OuterSums<Number> sums(h, columns);
  parallel(context, kParts, sums.tokens_of_part() * columns * sums.rank() / 16,
           [&](int64_t begin, int64_t end) { sums.add(begin, end, numbers_of<Number>(x), each); });
  parallel(context, columns, kParts * sums.rank() / 4,
           [&](int64_t begin, int64_t end) { sums.write(begin, end, transposed, out->flat<float>().data()); });
}

bool fits(tf::OpKernelContext *context, bool condition) {
  if (!condition) context->CtxFailure(absl::InvalidArgumentError(absl::StrCat(context->op_kernel().name(), " of matrices that do not fit")));
  return condition;
}

bool are_matrices(tf::OpKernelContext *context) {
  bool all = true;
  for (int i = 0; i < context->num_inputs(); i++) all = all && context->input(i).dims() == 2;
  return fits(context, all);
}

class ThinProduct : public Kernel {
 public:
  explicit ThinProduct(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
  }

 protected:
  bool transposed_;
};

// H [rows, rank] · T, and Y [rows, columns] added to it when there is one.
class RankUpdate : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!are_matrices(context)) return;
    const tf::Tensor &h = context->input(0), &t = context->input(1);
    const bool adds = context->num_inputs() > 2;
    const tf::TensorShape shape({h.dim_size(0), t.dim_size(transposed_ ? 0 : 1)});
    if (!fits(context, t.dim_size(transposed_ ? 1 : 0) == h.dim_size(1) &&
                           (!adds || (context->input(2).shape() == shape && context->input(2).dtype() == output_type(0)))))
      return;
    tf::Tensor *out = nullptr;
    // What Y is in becomes the result's, when nothing else reads it.
    if (adds)
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({2}, 0, shape, &out));
    else
      OP_REQUIRES_OK(context, context->allocate_output(0, shape, &out));
    const tf::Tensor *y = adds ? &context->input(2) : nullptr;
    with_number_of(*out, [&](auto number) { update<decltype(number)>(context, h, t, y, out); });
  }

 private:
  template <class Number>
  void update(tf::OpKernelContext *context, const tf::Tensor &h, const tf::Tensor &t, const tf::Tensor *y, tf::Tensor *out) const {
    const int64_t rows = h.dim_size(0), rank = h.dim_size(1), columns = out->dim_size(1), inner = words<Number>(rank);
    const int64_t of_row = inner * Words<Number>::kPerWord;
    const Table<Number> table(t, transposed_, rank, columns);
    parallel(context, (rows + kTokens - 1) / kTokens, kTokens * columns * rank / 16, [&](int64_t begin, int64_t end) {
      std::vector<float> of_h(kTokens * of_row, 0.0f);
      std::vector<Word<Number>> memory;
      for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * kTokens, count = std::min(kTokens, rows - first);
        for (int64_t i = 0; i < count; i++) load(h, (first + i) * rank, of_h.data() + i * of_row, rank);
        const auto left = along_rows<Number>(of_h.data(), count, of_row, &memory);
        for (int64_t column = 0; column < columns; column += 2 * kColumns) {
          const int64_t place = first * columns + column;
          Words<Number>::multiply_to_numbers({left.data, left.stride, 1, table.data() + column, table.stride(),
                                              y == nullptr ? nullptr : numbers_of<Number>(*y) + place, static_cast<Number *>(out->data()) + place,
                                              columns, count, inner, std::min(2 * kColumns, columns - column)});
        }
      }
    });
  }
};

// X [rows, columns] · Tᵀ, in f32.
class RankReduce : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!are_matrices(context)) return;
    const tf::Tensor &x = context->input(0), &t = context->input(1);
    if (!fits(context, t.dim_size(transposed_ ? 0 : 1) == x.dim_size(1))) return;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {x.dim_size(0), t.dim_size(transposed_ ? 1 : 0)}, &out));
    with_number_of(x, [&](auto number) { of_rows<decltype(number)>(context, x, t, out); });
  }

 private:
  template <class Number>
  void of_rows(tf::OpKernelContext *context, const tf::Tensor &x, const tf::Tensor &t, tf::Tensor *out) const {
    const int64_t rows = x.dim_size(0), columns = x.dim_size(1), rank = out->dim_size(1);
    const Table<Number> table(t, !transposed_, columns, rank);
    parallel(context, (rows + kTokens - 1) / kTokens, kTokens * columns * rank / 16, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kTokens, count = std::min(end * kTokens, rows) - first;
      reduce(numbers_of<Number>(x) + first * columns, table, out->flat<float>().data() + first * rank, count, columns, rank);
    });
  }
};

// Hᵀ · X with H [rows, rank] and X [rows, columns], in f32: [rank, columns], or [columns, rank].
class RankOuter : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!are_matrices(context)) return;
    const tf::Tensor &h = context->input(0), &x = context->input(1);
    if (!fits(context, x.dim_size(0) == h.dim_size(0))) return;
    const int64_t rank = h.dim_size(1), columns = x.dim_size(1);
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, transposed_ ? tf::TensorShape({columns, rank}) : tf::TensorShape({rank, columns}), &out));
    const auto nothing = [](int64_t, int64_t) {};
    with_number_of(x, [&](auto number) { outer<decltype(number)>(context, h, x, transposed_, out, nothing); });
  }
};

// dY·B and dYᵀ·H, of dY [rows, columns], H [rows, rank] and B [columns, rank], in f32, going over dY once.
class ExpansionGradient : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    if (!are_matrices(context)) return;
    const tf::Tensor &dy = context->input(0), &h = context->input(1), &b = context->input(2);
    if (!fits(context, h.dim_size(0) == dy.dim_size(0) && b.dim_size(0) == dy.dim_size(1) && h.dim_size(1) == b.dim_size(1))) return;
    tf::Tensor *dh = nullptr, *db = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, h.shape(), &dh));
    OP_REQUIRES_OK(context, context->allocate_output(1, b.shape(), &db));
    with_number_of(dy, [&](auto number) { both<decltype(number)>(context, dy, h, b, dh, db); });
  }

 private:
  template <class Number>
  static void both(tf::OpKernelContext *context, const tf::Tensor &dy, const tf::Tensor &h, const tf::Tensor &b, tf::Tensor *dh, tf::Tensor *db) {
    const int64_t columns = dy.dim_size(1), rank = h.dim_size(1);
    const Table<Number> table(b, false, columns, rank);
    outer<Number>(context, h, dy, true, db, [&](int64_t first, int64_t count) {
      reduce(numbers_of<Number>(dy) + first * columns, table, dh->flat<float>().data() + first * rank, count, columns, rank);
    });
  }
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
