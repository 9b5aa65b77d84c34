// Linear layers of the newest token of a few texts, or of a piece of one. General products rearrange the matrix first, which takes longer than
// reading it.
#include "per-instruction-set/row-products.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "parallel.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// X [rows, inner] · Wᵀ for each W [columns, inner], in f32 or bf16, with sums in f32. With `rounds`, X is rounded to bf16 where that is faster.
class MultiplyRows : public Kernel {
 public:
  explicit MultiplyRows(tf::OpKernelConstruction *construction) : Kernel(construction) {
    bool rounds = false;
    OP_REQUIRES_OK(construction, construction->GetAttr("rounds", &rounds));
    rounds_ = rounds && row_products().rounded_bf16.multiply != nullptr;
  }
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0);
    const int64_t rows = x.dims() == 2 ? x.dim_size(0) : 0, inner = x.dims() == 2 ? x.dim_size(1) : 0;
    int64_t all_columns = 0;
    bool any_bf16 = false;
    for (int i = 1; i < context->num_inputs(); i++) {
      const tf::Tensor &w = context->input(i);
      OP_REQUIRES(context, x.dims() == 2 && x.dtype() == tf::DT_FLOAT && w.dims() == 2 && w.dim_size(1) == inner,
                  absl::InvalidArgumentError(absl::StrCat(name(), ": the shapes or types of the matrices do not match")));
      tf::Tensor *out = nullptr;
      OP_REQUIRES_OK(context, context->allocate_output(i - 1, {rows, w.dim_size(0)}, &out));
      all_columns += w.dim_size(0);
      any_bf16 |= w.dtype() == tf::DT_BFLOAT16;
    }
    tf::Tensor rounded;
    if (rounds_ && any_bf16) {
      const RoundedRowProducts &products = row_products().rounded_bf16;
      OP_REQUIRES_OK(context, context->allocate_temp(tf::DT_BFLOAT16, tf::TensorShape({products.size(rows, inner)}), &rounded));
      products.round(x.flat<float>().data(), static_cast<uint16_t *>(rounded.data()), rows, inner);
    }
    constexpr int64_t columns_at_once = 16;
    const int64_t units = (all_columns + columns_at_once - 1) / columns_at_once;
    parallel(context, units, columns_at_once * inner * (1 + rows / 4), [&](int64_t begin, int64_t end) {
      multiply(context, rounded, rows, inner, begin * columns_at_once, std::min(end * columns_at_once, all_columns));
    });
  }

 private:
  // Computes a range of the columns of all results, which are counted as if they were side by side.
  void multiply(tf::OpKernelContext *context, const tf::Tensor &rounded, int64_t rows, int64_t inner, int64_t begin, int64_t end) const {
    int64_t before = 0;
    for (int i = 1; i < context->num_inputs() && before < end; i++) {
      const tf::Tensor &w = context->input(i);
      const int64_t columns = w.dim_size(0);
      const int64_t first = std::max(begin - before, int64_t{0}), last = std::min(end - before, columns);
      before += columns;
      if (first >= last) continue;
      const bool is_bf16 = w.dtype() == tf::DT_BFLOAT16;
      const char *from = static_cast<const char *>(w.data()) + first * inner * (is_bf16 ? sizeof(uint16_t) : sizeof(float));
      float *out = context->mutable_output(i - 1)->flat<float>().data() + first;
      const void *x = is_bf16 && rounds_ ? rounded.data() : context->input(0).data();
      const auto product = !is_bf16 ? row_products().f32 : rounds_ ? row_products().rounded_bf16.multiply : row_products().bf16;
      product({x, from, out, columns, rows, inner, last - first});
    }
  }

  bool rounds_;
};

REGISTER_OP("GraftRowProducts")
    .Input("inputs: Tin")
    .Output("out: N * float")
    .Attr("Tin: list({float, bfloat16})")
    .Attr("N: int")
    .Attr("rounds: bool")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftRowProducts").Device(tf::DEVICE_CPU), MultiplyRows);

}  // namespace
}  // namespace graft
