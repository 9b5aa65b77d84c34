// Products with a narrow matrix, such as LoRA's. General kernels are made for two large matrices and would spend their time rearranging the large
// one.
//
// `t` is the narrow matrix: [rank, columns], or [columns, rank] if `transposed`. The rows of the other matrices are tokens. If the large matrix,
// operand or result, is bf16, the product is one of bf16 elements, summed in f32.
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

// Hᵀ·X. Calls `each` for every block of tokens.
template <class Element>
void outer(tf::OpKernelContext *context, const tf::Tensor &h, const tf::Tensor &x, bool transposed, tf::Tensor *out,
           const std::function<void(int64_t first, int64_t count)> &each) {
  const int64_t columns = x.dim_size(1);
  OuterSums<Element> sums(h, columns);
  parallel(context, kParts, sums.tokens_per_part() * columns * sums.rank() / 16,
           [&](int64_t begin, int64_t end) { sums.add(begin, end, elements<Element>(x), each); });
  parallel(context, columns, kParts * sums.rank() / 4,
           [&](int64_t begin, int64_t end) { sums.write(begin, end, transposed, out->flat<float>().data()); });
}

// Fails the kernel if the matrices do not match.
bool require_match(tf::OpKernelContext *context, bool condition) {
  if (!condition)
    context->CtxFailure(absl::InvalidArgumentError(absl::StrCat(context->op_kernel().name(), ": the shapes or types of the matrices do not match")));
  return condition;
}

bool require_matrices(tf::OpKernelContext *context) {
  bool all = true;
  for (int i = 0; i < context->num_inputs(); i++) all = all && context->input(i).dims() == 2;
  return require_match(context, all);
}

class ThinProduct : public Kernel {
 public:
  explicit ThinProduct(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
  }

 protected:
  bool transposed_;
};

// H [rows, rank] · T, plus Y [rows, columns] if there is one.
class RankUpdate : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &h = context->input(0), &t = context->input(1);
    const bool adds = context->num_inputs() > 2;
    const tf::TensorShape shape({h.dim_size(0), t.dim_size(transposed_ ? 0 : 1)});
    if (!require_match(context, t.dim_size(transposed_ ? 1 : 0) == h.dim_size(1) &&
                                    (!adds || (context->input(2).shape() == shape && context->input(2).dtype() == output_type(0)))))
      return;
    tf::Tensor *out = nullptr;
    // The result takes Y's memory if nothing else reads it.
    if (adds)
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({2}, 0, shape, &out));
    else
      OP_REQUIRES_OK(context, context->allocate_output(0, shape, &out));
    const tf::Tensor *y = adds ? &context->input(2) : nullptr;
    with_element_type(*out, [&](auto element) { update<decltype(element)>(context, h, t, y, out); });
  }

 private:
  template <class Element>
  void update(tf::OpKernelContext *context, const tf::Tensor &h, const tf::Tensor &t, const tf::Tensor *y, tf::Tensor *out) const {
    const int64_t rows = h.dim_size(0), rank = h.dim_size(1), columns = out->dim_size(1), inner = word_count<Element>(rank);
    const int64_t padded_rank = inner * Words<Element>::kPerWord;
    const NarrowMatrix<Element> narrow(t, transposed_, rank, columns);
    parallel(context, (rows + kTokens - 1) / kTokens, kTokens * columns * rank / 16, [&](int64_t begin, int64_t end) {
      std::vector<float> h_block(kTokens * padded_rank, 0.0f);
      std::vector<Word<Element>> memory;
      for (int64_t block = begin; block < end; block++) {
        const int64_t first = block * kTokens, count = std::min(kTokens, rows - first);
        for (int64_t i = 0; i < count; i++) load(h, (first + i) * rank, h_block.data() + i * padded_rank, rank);
        const auto left = pack_rows<Element>(h_block.data(), count, padded_rank, &memory);
        for (int64_t column = 0; column < columns; column += 2 * kColumns) {
          const int64_t offset = first * columns + column;
          Words<Element>::multiply_to_elements({left.data, left.stride, 1, narrow.data() + column, narrow.stride(),
                                                y == nullptr ? nullptr : elements<Element>(*y) + offset, static_cast<Element *>(out->data()) + offset,
                                                columns, count, inner, std::min(2 * kColumns, columns - column)});
        }
      }
    });
  }
};

// X [rows, columns] · Tᵀ in f32.
class RankReduce : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &x = context->input(0), &t = context->input(1);
    if (!require_match(context, t.dim_size(transposed_ ? 0 : 1) == x.dim_size(1))) return;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {x.dim_size(0), t.dim_size(transposed_ ? 1 : 0)}, &out));
    with_element_type(x, [&](auto element) { reduce_rows<decltype(element)>(context, x, t, out); });
  }

 private:
  template <class Element>
  void reduce_rows(tf::OpKernelContext *context, const tf::Tensor &x, const tf::Tensor &t, tf::Tensor *out) const {
    const int64_t rows = x.dim_size(0), columns = x.dim_size(1), rank = out->dim_size(1);
    const NarrowMatrix<Element> narrow(t, !transposed_, columns, rank);
    parallel(context, (rows + kTokens - 1) / kTokens, kTokens * columns * rank / 16, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kTokens, count = std::min(end * kTokens, rows) - first;
      reduce(elements<Element>(x) + first * columns, narrow, out->flat<float>().data() + first * rank, count, columns, rank);
    });
  }
};

// Hᵀ·X in f32 with H [rows, rank] and X [rows, columns]: [rank, columns], or [columns, rank] if `transposed`.
class RankOuter : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &h = context->input(0), &x = context->input(1);
    if (!require_match(context, x.dim_size(0) == h.dim_size(0))) return;
    const int64_t rank = h.dim_size(1), columns = x.dim_size(1);
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, transposed_ ? tf::TensorShape({columns, rank}) : tf::TensorShape({rank, columns}), &out));
    const auto nothing = [](int64_t, int64_t) {};
    with_element_type(x, [&](auto element) { outer<decltype(element)>(context, h, x, transposed_, out, nothing); });
  }
};

// dY·B and dYᵀ·H in f32, in one pass over dY [rows, columns]; H is [rows, rank] and B [columns, rank].
class ExpansionGradient : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &dy = context->input(0), &h = context->input(1), &b = context->input(2);
    if (!require_match(context, h.dim_size(0) == dy.dim_size(0) && b.dim_size(0) == dy.dim_size(1) && h.dim_size(1) == b.dim_size(1))) return;
    tf::Tensor *dh = nullptr, *db = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, h.shape(), &dh));
    OP_REQUIRES_OK(context, context->allocate_output(1, b.shape(), &db));
    with_element_type(dy, [&](auto element) { both<decltype(element)>(context, dy, h, b, dh, db); });
  }

 private:
  template <class Element>
  static void both(tf::OpKernelContext *context, const tf::Tensor &dy, const tf::Tensor &h, const tf::Tensor &b, tf::Tensor *dh, tf::Tensor *db) {
    const int64_t columns = dy.dim_size(1), rank = h.dim_size(1);
    const NarrowMatrix<Element> narrow(b, false, columns, rank);
    outer<Element>(context, h, dy, true, db, [&](int64_t first, int64_t count) {
      reduce(elements<Element>(dy) + first * columns, narrow, dh->flat<float>().data() + first * rank, count, columns, rank);
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
