// GraftAddOuter (outer-sums.cc) for a GPU.
#include "gpu/registration.h"
#include "kernel.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

class AddOuter : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &a = context->input(0), &b = context->input(1);
    const bool match = a.dims() == 2 && b.dims() == 2 && a.dim_size(0) == b.dim_size(0);
    OP_REQUIRES(context, match, absl::InvalidArgumentError(absl::StrCat(name(), ": the inputs are not two matrices with as many rows")));
    const tf::TensorShape shape({a.dim_size(1), b.dim_size(1)});
    const bool adds = context->num_inputs() == 3;
    OP_REQUIRES(context, !adds || context->input(2).shape() == shape,
                absl::InvalidArgumentError(absl::StrCat(name(), ": the sum has another shape")));
    tf::Tensor *out = nullptr;
    if (adds)
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({2}, 0, shape, &out));
    else
      OP_REQUIRES_OK(context, context->allocate_output(0, shape, &out));
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    if (!adds) {
      OP_REQUIRES_OK(context, fill_zeros(scope, out));
    } else if (context->input(2).data() != out->data()) {
      OP_REQUIRES_OK(context, copy_on_gpu(scope, context->input(2).data(), out->data(), out->TotalBytes()));
    }
    Product product{a.dtype(), a.data(), b.data(), out->data(), a.dim_size(1), a.dim_size(0), b.dim_size(1), tf::DT_FLOAT, true};
    product.kept = 1;
    if (a.dim_size(0) > 0) OP_REQUIRES_OK(context, multiply(scope, product));
  }
};

REGISTER_FOR_GPU(Name("GraftAddOuter"), AddOuter);

}  // namespace
}  // namespace graft::gpu
