// Products with a narrow matrix, such as LoRA's. General kernels are made for two large matrices and would spend their time rearranging the large
// one.
//
// `t` is the narrow matrix: [rank, columns], or [columns, rank] if `transposed`. The rows of the other matrices are tokens. If the large matrix,
// operand or result, is bf16, the product is one of bf16 elements, summed in f32.
//
// `owners` may name an owner for each token, [tokens], and for each column of the rank, [rank]. A token is then multiplied with its own owner's
// columns alone. Its elements in others' columns are never read and are 0 in results, so that one owner's infinity is no other's NaN.
#include <algorithm>
#include <functional>
#include <optional>
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
void outer(tf::OpKernelContext *context, const tf::Tensor &h, const tf::Tensor &x, const OwnColumns &own, bool transposed, tf::Tensor *out,
           const std::function<void(const Block &)> &each) {
  const int64_t columns = x.dim_size(1);
  OuterSums<Element> sums(h, columns, own);
  parallel(context, kParts, sums.tokens_per_part() * columns * own.widest() / 16,
           [&](int64_t begin, int64_t end) { sums.add(begin, end, elements<Element>(x), each); });
  parallel(context, columns, kParts * h.dim_size(1) / 4,
           [&](int64_t begin, int64_t end) { sums.write(begin, end, transposed, out->flat<float>().data()); });
}

// Fails the kernel if the inputs do not match.
bool require_match(tf::OpKernelContext *context, bool condition) {
  if (!condition)
    context->CtxFailure(absl::InvalidArgumentError(absl::StrCat(context->op_kernel().name(), ": the shapes or types of the inputs do not match")));
  return condition;
}

class ThinProduct : public Kernel {
 public:
  explicit ThinProduct(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("N", &owners_));
  }

 protected:
  int matrices(tf::OpKernelContext *context) const { return context->num_inputs() - owners_; }

  bool require_matrices(tf::OpKernelContext *context) const {
    bool all = true;
    for (int i = 0; i < matrices(context); i++) all = all && context->input(i).dims() == 2;
    return require_match(context, all);
  }

  // @return nothing if the owners do not match
  std::optional<OwnColumns> own_columns(tf::OpKernelContext *context, int64_t tokens, int64_t rank) const {
    if (owners_ == 0) return OwnColumns(tokens, rank, nullptr, nullptr);
    const tf::Tensor &of_tokens = context->input(context->num_inputs() - 2), &of_columns = context->input(context->num_inputs() - 1);
    if (!require_match(context, owners_ == 2 && of_tokens.NumElements() == tokens && of_columns.NumElements() == rank)) return std::nullopt;
    return OwnColumns(tokens, rank, of_tokens.flat<int32_t>().data(), of_columns.flat<int32_t>().data());
  }

 private:
  int owners_;
};

class OneThinProduct : public ThinProduct {
 public:
  explicit OneThinProduct(tf::OpKernelConstruction *construction) : ThinProduct(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("transposed", &transposed_));
  }

 protected:
  bool transposed_;
};

// H [rows, rank] · T, plus Y [rows, columns] if there is one.
class RankUpdate : public OneThinProduct {
 public:
  using OneThinProduct::OneThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &h = context->input(0), &t = context->input(1);
    const bool adds = matrices(context) > 2;
    const tf::TensorShape shape({h.dim_size(0), t.dim_size(transposed_ ? 0 : 1)});
    if (!require_match(context, t.dim_size(transposed_ ? 1 : 0) == h.dim_size(1) &&
                                    (!adds || (context->input(2).shape() == shape && context->input(2).dtype() == output_type(0)))))
      return;
    const auto own = own_columns(context, h.dim_size(0), h.dim_size(1));
    if (!own) return;
    tf::Tensor *out = nullptr;
    // The result takes Y's memory if nothing else reads it.
    if (adds)
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({2}, 0, shape, &out));
    else
      OP_REQUIRES_OK(context, context->allocate_output(0, shape, &out));
    const tf::Tensor *y = adds ? &context->input(2) : nullptr;
    with_element_type(*out, [&](auto element) { update<decltype(element)>(context, h, t, *own, y, out); });
  }

 private:
  template <class Element>
  void update(tf::OpKernelContext *context, const tf::Tensor &h, const tf::Tensor &t, const OwnColumns &own, const tf::Tensor *y,
              tf::Tensor *out) const {
    const int64_t columns = out->dim_size(1);
    const NarrowMatrices<Element> narrow(context, t, transposed_, SumsOver::kRank, own);
    parallel(context, own.blocks().size(), kTokens * columns * own.widest() / 16, [&](int64_t begin, int64_t end) {
      std::vector<float> h_block;
      std::vector<Word<Element>> memory;
      for (int64_t i = begin; i < end; i++) {
        const Block &block = own.blocks()[i];
        const std::vector<int64_t> &group = own.groups()[block.group];
        const int64_t inner = word_count<Element>(group.size()), padded_rank = inner * Words<Element>::kPerWord;
        load_own(h, block, group, padded_rank, &h_block);
        const auto left = pack_rows<Element>(h_block.data(), block.count, padded_rank, &memory);
        for (int64_t column = 0; column < columns; column += 2 * kColumns) {
          const int64_t offset = block.first * columns + column;
          Words<Element>::multiply_to_elements({left.data, left.stride, 1, narrow.data(block.group) + column, narrow.stride(block.group),
                                                y == nullptr ? nullptr : elements<Element>(*y) + offset, static_cast<Element *>(out->data()) + offset,
                                                columns, block.count, inner, std::min(2 * kColumns, columns - column)});
        }
      }
    });
  }
};

// X [rows, columns] · Tᵀ in f32.
class RankReduce : public OneThinProduct {
 public:
  using OneThinProduct::OneThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &x = context->input(0), &t = context->input(1);
    const int64_t rank = t.dim_size(transposed_ ? 1 : 0);
    if (!require_match(context, t.dim_size(transposed_ ? 0 : 1) == x.dim_size(1))) return;
    const auto own = own_columns(context, x.dim_size(0), rank);
    if (!own) return;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, {x.dim_size(0), rank}, &out));
    with_element_type(x, [&](auto element) { reduce_rows<decltype(element)>(context, x, t, *own, out); });
  }

 private:
  template <class Element>
  void reduce_rows(tf::OpKernelContext *context, const tf::Tensor &x, const tf::Tensor &t, const OwnColumns &own, tf::Tensor *out) const {
    const int64_t columns = x.dim_size(1);
    const NarrowMatrices<Element> narrow(context, t, transposed_, SumsOver::kColumns, own);
    parallel(context, own.blocks().size(), kTokens * columns * own.widest() / 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) reduce(x, narrow, own, own.blocks()[i], out);
    });
  }
};

// Hᵀ·X in f32 with H [rows, rank] and X [rows, columns]: [rank, columns], or [columns, rank] if `transposed`.
class RankOuter : public OneThinProduct {
 public:
  using OneThinProduct::OneThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &h = context->input(0), &x = context->input(1);
    if (!require_match(context, x.dim_size(0) == h.dim_size(0))) return;
    const int64_t rank = h.dim_size(1), columns = x.dim_size(1);
    const auto own = own_columns(context, h.dim_size(0), rank);
    if (!own) return;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, transposed_ ? tf::TensorShape({columns, rank}) : tf::TensorShape({rank, columns}), &out));
    const auto nothing = [](const Block &) {};
    with_element_type(x, [&](auto element) { outer<decltype(element)>(context, h, x, *own, transposed_, out, nothing); });
  }
};

// dY·B and dYᵀ·H in f32, in one pass over dY [rows, columns]; H is [rows, rank] and B [columns, rank].
class ExpansionGradient : public ThinProduct {
 public:
  using ThinProduct::ThinProduct;
  void Compute(tf::OpKernelContext *context) override {
    if (!require_matrices(context)) return;
    const tf::Tensor &dy = context->input(0), &h = context->input(1), &b = context->input(2);
    if (!require_match(context, h.dim_size(0) == dy.dim_size(0) && b.dim_size(0) == dy.dim_size(1) && h.dim_size(1) == b.dim_size(1))) return;
    const auto own = own_columns(context, h.dim_size(0), h.dim_size(1));
    if (!own) return;
    tf::Tensor *dh = nullptr, *db = nullptr;
    OP_REQUIRES_OK(context, context->allocate_output(0, h.shape(), &dh));
    OP_REQUIRES_OK(context, context->allocate_output(1, b.shape(), &db));
    with_element_type(dy, [&](auto element) { both<decltype(element)>(context, dy, h, b, *own, dh, db); });
  }

 private:
  template <class Element>
  static void both(tf::OpKernelContext *context, const tf::Tensor &dy, const tf::Tensor &h, const tf::Tensor &b, const OwnColumns &own,
                   tf::Tensor *dh, tf::Tensor *db) {
    const NarrowMatrices<Element> narrow(context, b, true, SumsOver::kColumns, own);
    outer<Element>(context, h, dy, own, true, db, [&](const Block &block) { reduce(dy, narrow, own, block, dh); });
  }
};

#define TYPES "list({float, bfloat16})"
REGISTER_OP("GraftRankUpdate")
    .Input("inputs: Tin")
    .Input("owners: N * int32")
    .Output("out: Tout")
    .Attr("Tin: " TYPES)
    .Attr("Tout: {float, bfloat16}")
    .Attr("transposed: bool")
    .Attr("N: int >= 0 = 0")
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftRankReduce")
    .Input("inputs: Tin")
    .Input("owners: N * int32")
    .Output("out: float")
    .Attr("Tin: " TYPES)
    .Attr("transposed: bool")
    .Attr("N: int >= 0 = 0")
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftRankOuter")
    .Input("inputs: Tin")
    .Input("owners: N * int32")
    .Output("out: float")
    .Attr("Tin: " TYPES)
    .Attr("transposed: bool")
    .Attr("N: int >= 0 = 0")
    .SetShapeFn(unknown_shapes);

REGISTER_OP("GraftExpansionGradient")
    .Input("d_y: T")
    .Input("h: float")
    .Input("b: float")
    .Input("owners: N * int32")
    .Output("d_h: float")
    .Output("d_b: float")
    .Attr("T: {float, bfloat16}")
    .Attr("N: int >= 0 = 0")
    .SetShapeFn(unknown_shapes);

REGISTER_KERNEL_BUILDER(Name("GraftExpansionGradient").Device(tf::DEVICE_CPU), ExpansionGradient);
REGISTER_KERNEL_BUILDER(Name("GraftRankUpdate").Device(tf::DEVICE_CPU), RankUpdate);
REGISTER_KERNEL_BUILDER(Name("GraftRankReduce").Device(tf::DEVICE_CPU), RankReduce);
REGISTER_KERNEL_BUILDER(Name("GraftRankOuter").Device(tf::DEVICE_CPU), RankOuter);

}  // namespace
}  // namespace graft
