// GraftFusedRows (fused-rows.cc) for a GPU: each program is a kernel of its own, which NVRTC compiles while the graph is being loaded.
#include <cstring>
#include <memory>

#include "gpu/functions.h"
#include "gpu/registration.h"
#include "gpu/row-source.h"
#include "row-views.h"

namespace graft::gpu {
namespace {

namespace tf = tensorflow;

// The most bytes that a kernel's arguments take (CUDA C++ Programming Guide, Function Parameters).
constexpr size_t kMostArgumentBytes = 4096;

ElementType element_type(tf::DataType dtype) {
  switch (dtype) {
    case tf::DT_FLOAT:
      return ElementType::kFloat;
    case tf::DT_BFLOAT16:
      return ElementType::kBfloat16;
    case tf::DT_INT32:
      return ElementType::kInt32;
    default:
      return ElementType::kBool;
  }
}

class FusedRows : public RowKernel {
 public:
  explicit FusedRows(tf::OpKernelConstruction *construction) : RowKernel(construction) {
    if (!construction->status().ok()) return;
    std::vector<ElementType> inputs, outputs;
    for (const tf::DataType dtype : input_types()) inputs.push_back(element_type(dtype));
    for (const tf::DataType dtype : output_types()) outputs.push_back(element_type(dtype));
    const size_t bytes = sizeof(RowArguments) + inputs.size() * sizeof(RowInput) + outputs.size() * sizeof(void *);
    OP_REQUIRES(construction, bytes <= kMostArgumentBytes, absl::InvalidArgumentError(absl::StrCat(name(), " has too many inputs for a GPU")));
    compiled_ = Program::shared(kFunctions + row_source(program_, inputs, outputs));
  }

  void Compute(tf::OpKernelContext *context) override {
    RowViews views;
    OP_REQUIRES_OK(context, views.of(context, program_, name()));
    std::vector<tf::Tensor *> outputs(program_.outputs.size());
    for (size_t i = 0; i < outputs.size(); i++)
      OP_REQUIRES_OK(context, context->allocate_output(i, views.output_shape(program_.outputs[i].form), &outputs[i]));
    const int64_t rows = views.rows(), columns = views.columns();
    OP_REQUIRES(context, rows < INT32_MAX && columns < INT32_MAX && views.shape.size() <= kRowAxes + 1,
                absl::InvalidArgumentError(absl::StrCat(name(), ": too many rows, columns or axes for a GPU")));
    std::vector<char> bytes(sizeof(RowArguments) + views.inputs.size() * sizeof(RowInput) + outputs.size() * sizeof(void *));
    char *end = bytes.data();
    const auto add = [&](const auto &part) {
      std::memcpy(end, &part, sizeof part);
      end += sizeof part;
    };
    RowArguments arguments{columns, static_cast<int32_t>(views.shape.size()) - 1, 0, {}};
    for (int axis = 0; axis < arguments.axes; axis++) arguments.sizes[axis] = static_cast<uint32_t>(views.shape[axis]);
    add(arguments);
    for (const InputView &view : views.inputs) {
      RowInput input{view.data, view.dense ? 1u : 0u, {}};
      for (size_t axis = 0; axis < view.steps.size(); axis++) input.steps[axis] = static_cast<uint32_t>(view.steps[axis]);
      add(input);
    }
    for (const tf::Tensor *output : outputs) add(output->data());
    const StreamScope scope(context);
    OP_REQUIRES_OK(context, scope.status());
    OP_REQUIRES_OK(context, compiled_->launch(scope, "rows", rows, threads_for_row(columns), {bytes.data()}));
  }

 private:
  std::shared_ptr<Program> compiled_;
};

REGISTER_FOR_GPU(Name("GraftFusedRows"), FusedRows);

}  // namespace
}  // namespace graft::gpu
