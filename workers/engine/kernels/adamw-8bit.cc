// AdamW on a slab of parameters whose moments are held in 8 bits (per-instruction-set/adam-blocks.h). All is changed in place, in variables of the
// session.
#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "dynamic-map.h"
#include "kernel.h"
#include "parallel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// A slab's parts begin at rows of as many elements.
constexpr int64_t kRow = 32;
// What a block costs: its 256 elements pass through two searches, a root and two divisions.
constexpr int64_t kBlockCycles = 256 * 12;

// Maps never change, so all kernels share them.
const CodeMap &signed_map() {
  static const CodeMap *map = new CodeMap(dynamic_map(true));
  return *map;
}
const CodeMap &unsigned_map() {
  static const CodeMap *map = new CodeMap(dynamic_map(false));
  return *map;
}

// A variable that is being changed. Whoever reads it at the same time keeps what it was.
class Changed {
 public:
  absl::Status open(tf::OpKernelContext *context, int input) {
    if (const absl::Status status = tf::LookupResource(context, tf::HandleFromInput(context, input), &variable_); !status.ok()) return status;
    lock_ = std::make_unique<tf::mutex_lock>(*variable_->mu());
    tf::Tensor *held = variable_->tensor();
    if (!held->IsInitialized()) return absl::FailedPreconditionError("a variable of the optimizer has no value yet");
    if (held->RefCountIsOne()) return absl::OkStatus();
    tf::Tensor copy;
    if (const absl::Status status = context->allocate_temp(held->dtype(), held->shape(), &copy); !status.ok()) return status;
    std::memcpy(copy.data(), held->data(), held->TotalBytes());
    *held = std::move(copy);
    return absl::OkStatus();
  }
  tf::Tensor &tensor() { return *variable_->tensor(); }

 private:
  tf::core::RefCountPtr<tf::Var> variable_;
  std::unique_ptr<tf::mutex_lock> lock_;
};

// Where the blocks of one parameter are.
struct Part {
  int64_t first_block, first_element, elements;
};

// Each parameter has blocks of its own, so that its numbers do not depend on what else is in the slab.
std::vector<Part> parts_of(const tf::Tensor &sizes) {
  std::vector<Part> parts;
  int64_t block = 0, element = 0;
  for (int64_t i = 0; i < sizes.NumElements(); i++) {
    const int64_t size = sizes.flat<int32_t>()(i);
    parts.push_back({block, element, size});
    block += (size + kAdamBlock - 1) / kAdamBlock;
    element += (size + kRow - 1) / kRow * kRow;
  }
  parts.push_back({block, element, 0});
  return parts;
}

class AdamW8bit : public Kernel {
 public:
  explicit AdamW8bit(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("beta1", &scalars_.beta1));
    OP_REQUIRES_OK(construction, construction->GetAttr("one_minus_beta1", &scalars_.one_minus_beta1));
    OP_REQUIRES_OK(construction, construction->GetAttr("beta2", &scalars_.beta2));
    OP_REQUIRES_OK(construction, construction->GetAttr("one_minus_beta2", &scalars_.one_minus_beta2));
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &scalars_.epsilon));
  }

  void Compute(tf::OpKernelContext *context) override {
    Changed parameter, m, m_absmax, v, v_absmax;
    Changed *variables[] = {&parameter, &m, &m_absmax, &v, &v_absmax};
    for (int i = 0; i < 5; i++) OP_REQUIRES_OK(context, variables[i]->open(context, i));
    const tf::Tensor &gradient = context->input(5);
    const std::vector<Part> parts = parts_of(context->input(6));
    const Part &end = parts.back();
    const auto holds = [](const tf::Tensor &tensor, int64_t bytes) { return static_cast<int64_t>(tensor.TotalBytes()) == bytes; };
    const int64_t floats = end.first_element * sizeof(float), scales = end.first_block * sizeof(float);
    const bool match = holds(parameter.tensor(), floats) && holds(gradient, floats) && holds(m.tensor(), end.first_element) &&
                       holds(v.tensor(), end.first_element) && holds(m_absmax.tensor(), scales) && holds(v_absmax.tensor(), scales);
    OP_REQUIRES(context, match, absl::InvalidArgumentError(absl::StrCat(name(), ": the sizes of the parameters and their moments do not match")));
    AdamScalars scalars = scalars_;
    scalars.gradient_scale = context->input(7).scalar<float>()();
    scalars.rate = context->input(8).scalar<float>()();
    scalars.second_correction = context->input(9).scalar<float>()();
    scalars.decay = context->input(10).scalar<float>()();

    float *theta = static_cast<float *>(parameter.tensor().data());
    const float *gradients = gradient.flat<float>().data();
    auto *m_codes = static_cast<uint8_t *>(m.tensor().data()), *v_codes = static_cast<uint8_t *>(v.tensor().data());
    auto *m_scales = static_cast<float *>(m_absmax.tensor().data()), *v_scales = static_cast<float *>(v_absmax.tensor().data());
    const CodeMap &of_m = signed_map(), &of_v = unsigned_map();
    parallel(context, end.first_block, kBlockCycles, [&](int64_t first, int64_t last) {
      auto part = std::upper_bound(parts.begin(), parts.end(), first, [](int64_t block, const Part &one) { return block < one.first_block; }) - 1;
      for (int64_t block = first; block < last; block++) {
        while (block >= (part + 1)->first_block) ++part;
        const int64_t offset = (block - part->first_block) * kAdamBlock, at = part->first_element + offset;
        const int64_t count = std::min(kAdamBlock, part->elements - offset);
        adam_blocks().update({count, theta + at, gradients + at, m_codes + at, v_codes + at, m_scales + block, v_scales + block}, scalars, of_m,
                             of_v);
      }
    });
  }

 private:
  AdamScalars scalars_ = {};
};

REGISTER_OP("GraftAdamW8bit")
    .Input("parameter: resource")
    .Input("m: resource")
    .Input("m_absmax: resource")
    .Input("v: resource")
    .Input("v_absmax: resource")
    .Input("gradient: float")
    .Input("sizes: int32")
    .Input("gradient_scale: float")
    .Input("rate: float")
    .Input("second_correction: float")
    .Input("decay: float")
    .Attr("beta1: float")
    .Attr("one_minus_beta1: float")
    .Attr("beta2: float")
    .Attr("one_minus_beta2: float")
    .Attr("epsilon: float")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftAdamW8bit").Device(tf::DEVICE_CPU), AdamW8bit);

}  // namespace
}  // namespace graft
