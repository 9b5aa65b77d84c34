// AdamW on a slab of parameters whose moments are held in 8 bits or in f32 (per-instruction-set/adam-blocks.h). All is changed in place, in variables
// of the session.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
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

// What both optimizers have: their constants, and what they are fed after the gradient.
class AdamKernel : public Kernel {
 public:
  explicit AdamKernel(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("beta1", &constants_.beta1));
    OP_REQUIRES_OK(construction, construction->GetAttr("one_minus_beta1", &constants_.one_minus_beta1));
    OP_REQUIRES_OK(construction, construction->GetAttr("beta2", &constants_.beta2));
    OP_REQUIRES_OK(construction, construction->GetAttr("one_minus_beta2", &constants_.one_minus_beta2));
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &constants_.epsilon));
    OP_REQUIRES_OK(construction, construction->GetAttr("bad_gradient", &bad_gradient_));
  }

 protected:
  // @param first the input from which on they are
  AdamScalars scalars(tf::OpKernelContext *context, int first) const {
    const auto fed = [&](int i) { return context->input(first + i).scalar<float>()(); };
    AdamScalars scalars = constants_;
    scalars.gradient_scale = fed(0), scalars.rate = fed(1), scalars.second_correction = fed(2), scalars.decay = fed(3);
    return scalars;
  }

  // Gives the sum of the gradient's squares, and ends the run if it is not finite; without a message for that, gives 0.
  absl::Status check(tf::OpKernelContext *context, const tf::Tensor &gradient) const {
    tf::Tensor *result = nullptr;
    if (const absl::Status status = context->allocate_output(0, {}, &result); !status.ok()) return status;
    result->scalar<float>()() = 0;
    if (bad_gradient_.empty()) return absl::OkStatus();
    const float *values = gradient.flat<float>().data();
    const int64_t elements = gradient.NumElements(), blocks = (elements + kAdamBlock - 1) / kAdamBlock;
    std::vector<double> sums(blocks);
    parallel(context, blocks, kAdamBlock / 2, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; i++)
        sums[i] = adam_blocks().squares(values + i * kAdamBlock, std::min(kAdamBlock, elements - i * kAdamBlock));
    });
    double sum = 0;
    for (const double of_block : sums) sum += of_block;
    result->scalar<float>()() = static_cast<float>(sum);
    return std::isfinite(static_cast<float>(sum)) ? absl::OkStatus() : absl::InvalidArgumentError(bad_gradient_);
  }

 private:
  AdamScalars constants_ = {};
  std::string bad_gradient_;
};

class AdamW8bit : public AdamKernel {
 public:
  using AdamKernel::AdamKernel;

  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &gradient = context->input(5);
    OP_REQUIRES_OK(context, check(context, gradient));
    Changed parameter, m, m_absmax, v, v_absmax;
    Changed *variables[] = {&parameter, &m, &m_absmax, &v, &v_absmax};
    for (int i = 0; i < 5; i++) OP_REQUIRES_OK(context, variables[i]->open(context, i));
    const std::vector<Part> parts = parts_of(context->input(6));
    const Part &end = parts.back();
    const auto holds = [](const tf::Tensor &tensor, int64_t bytes) { return static_cast<int64_t>(tensor.TotalBytes()) == bytes; };
    const int64_t floats = end.first_element * sizeof(float), scales = end.first_block * sizeof(float);
    const bool match = holds(parameter.tensor(), floats) && holds(gradient, floats) && holds(m.tensor(), end.first_element) &&
                       holds(v.tensor(), end.first_element) && holds(m_absmax.tensor(), scales) && holds(v_absmax.tensor(), scales);
    OP_REQUIRES(context, match, absl::InvalidArgumentError(absl::StrCat(name(), ": the sizes of the parameters and their moments do not match")));
    const AdamScalars with = scalars(context, 7);
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
        adam_blocks().update({count, theta + at, gradients + at, m_codes + at, v_codes + at, m_scales + block, v_scales + block}, with, of_m, of_v);
      }
    });
  }
};

// The same with moments in f32, for what is not held in 8 bits. Nothing comes and goes with it.
class AdamW : public AdamKernel {
 public:
  using AdamKernel::AdamKernel;

  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &gradient = context->input(3);
    OP_REQUIRES_OK(context, check(context, gradient));
    Changed parameter, m, v;
    Changed *variables[] = {&parameter, &m, &v};
    const int64_t elements = gradient.NumElements();
    float *floats[3];
    for (int i = 0; i < 3; i++) {
      OP_REQUIRES_OK(context, variables[i]->open(context, i));
      const bool matches = variables[i]->tensor().NumElements() == elements && variables[i]->tensor().dtype() == tf::DT_FLOAT;
      OP_REQUIRES(context, matches, absl::InvalidArgumentError(absl::StrCat(name(), ": the sizes of the parameters and their moments do not match")));
      floats[i] = static_cast<float *>(variables[i]->tensor().data());
    }
    const AdamScalars with = scalars(context, 4);
    const float *gradients = gradient.flat<float>().data();
    parallel(context, (elements + kAdamBlock - 1) / kAdamBlock, kBlockCycles / 4, [&](int64_t first, int64_t last) {
      const int64_t at = first * kAdamBlock, count = std::min(last * kAdamBlock, elements) - at;
      adam_blocks().update_plain(count, floats[0] + at, gradients + at, floats[1] + at, floats[2] + at, with);
    });
  }
};

// The end of both: what they are fed after the gradient, and their attributes.
#define ADAM_OP                          \
  .Input("gradient_scale: float")        \
      .Input("rate: float")              \
      .Input("second_correction: float") \
      .Input("decay: float")             \
      .Output("squares: float")          \
      .Attr("beta1: float")              \
      .Attr("one_minus_beta1: float")    \
      .Attr("beta2: float")              \
      .Attr("one_minus_beta2: float")    \
      .Attr("epsilon: float")            \
      .Attr("bad_gradient: string")      \
      .SetIsStateful()                   \
      .SetShapeFn(unknown_shapes)

REGISTER_OP("GraftAdamW8bit")
    .Input("parameter: resource")
    .Input("m: resource")
    .Input("m_absmax: resource")
    .Input("v: resource")
    .Input("v_absmax: resource")
    .Input("gradient: float")
    .Input("sizes: int32") ADAM_OP;
REGISTER_OP("GraftAdamW").Input("parameter: resource").Input("m: resource").Input("v: resource").Input("gradient: float") ADAM_OP;
REGISTER_KERNEL_BUILDER(Name("GraftAdamW8bit").Device(tf::DEVICE_CPU), AdamW8bit);
REGISTER_KERNEL_BUILDER(Name("GraftAdamW").Device(tf::DEVICE_CPU), AdamW);

}  // namespace
}  // namespace graft
