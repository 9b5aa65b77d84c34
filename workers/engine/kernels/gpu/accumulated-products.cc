// GraftAddOuter (outer-sum.h) for a GPU.
#include "gpu/registration.h"
#include "outer-sum.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

class AddOuter : public OuterSumKernel {
 public:
  using OuterSumKernel::OuterSumKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &a = context->input(0), &b = context->input(1), *sum = nullptr;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open(context, &sum, &out));
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    if (sum == nullptr)
      OP_REQUIRES_OK(context, fill_zeros(scope, out));
    else if (sum->data() != out->data())
      OP_REQUIRES_OK(context, copy_on_gpu(scope, sum->data(), out->data(), out->TotalBytes()));
    Product product{a.dtype(), a.data(), b.data(), out->data(), a.dim_size(1), a.dim_size(0), b.dim_size(1), tf::DT_FLOAT, true};
    product.kept = 1;
    if (a.dim_size(0) > 0) OP_REQUIRES_OK(context, multiply(scope, product));
  }
};

REGISTER_FOR_GPU(Name("GraftAddOuter"), AddOuter);

}  // namespace
}  // namespace graft::gpu
