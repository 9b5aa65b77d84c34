// The rows of a row program's inputs, which are broadcast against each other as in NumPy.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "row-program.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace graft {

// Where an input's rows are. Rows are counted over the results' leading axes, some of which the input may lack.
struct InputView {
  const char *data;
  tensorflow::DataType dtype;
  bool dense;                  // the rows follow each other in memory, and each is used once
  std::vector<int64_t> sizes;  // of the results' leading axes
  std::vector<int64_t> steps;  // from one index of an axis to the next, in rows of the input; 0 where it is broadcast

  int64_t row(int64_t r) const {
    if (dense) return r;
    int64_t result = 0;
    for (size_t axis = sizes.size(); axis-- > 0; r /= sizes[axis]) result += (r % sizes[axis]) * steps[axis];
    return result;
  }
};

struct RowViews {
  std::vector<int64_t> shape;  // to which the inputs are broadcast
  std::vector<InputView> inputs;

  int64_t columns() const { return shape.back(); }
  int64_t rows() const {
    int64_t product = 1;
    for (size_t axis = 0; axis + 1 < shape.size(); axis++) product *= shape[axis];
    return product;
  }

  // Those of a kernel's inputs.
  absl::Status of(tensorflow::OpKernelContext *context, const RowProgram &program, const std::string &name) {
    int rank = 0;
    for (int i = 0; i < program.inputs; i++) rank = std::max(rank, context->input(i).dims());
    shape.assign(rank, 1);
    for (int i = 0; i < program.inputs; i++) {
      const tensorflow::TensorShape &input_shape = context->input(i).shape();
      for (int axis = 0; axis < input_shape.dims(); axis++) {
        int64_t &size = shape[rank - input_shape.dims() + axis];
        if (size == 1) size = input_shape.dim_size(axis);
      }
    }
    for (int i = 0; i < program.inputs; i++) {
      const tensorflow::Tensor &tensor = context->input(i);
      InputView view{static_cast<const char *>(tensor.data()), tensor.dtype(), true, {shape.begin(), shape.end() - 1}, {}};
      view.steps.assign(rank - 1, 0);
      int64_t step = 1;
      for (int axis = rank - 2; axis >= 0; axis--) {
        const int input_axis = axis - (rank - tensor.dims());
        const int64_t size = input_axis >= 0 ? tensor.dim_size(input_axis) : 1;
        if (size != 1 && size != shape[axis])
          return absl::InvalidArgumentError(
              absl::StrCat(name, ": input ", i, " cannot be broadcast with the others: ", tensor.shape().DebugString()));
        if (size != 1) view.steps[axis] = step;
        view.dense = view.dense && size == shape[axis];
        step *= size;
      }
      const int64_t width = tensor.dims() == 0 ? 1 : tensor.dim_size(tensor.dims() - 1);
      if (width != (program.full[i] ? columns() : 1))
        return absl::InvalidArgumentError(absl::StrCat(name, ": input ", i, " has rows of a wrong length: ", tensor.shape().DebugString()));
      inputs.push_back(std::move(view));
    }
    return absl::OkStatus();
  }

  tensorflow::TensorShape output_shape(Form form) const {
    tensorflow::TensorShape result;
    for (size_t axis = 0; axis + 1 < shape.size(); axis++) result.AddDim(shape[axis]);
    if (form != Form::kDrop) result.AddDim(form == Form::kFull ? columns() : 1);
    return result;
  }
};

// The base class of the kernels of GraftFusedRows.
class RowKernel : public Kernel {
 public:
  explicit RowKernel(tensorflow::OpKernelConstruction *construction) : Kernel(construction) {
    std::string text;
    OP_REQUIRES_OK(construction, construction->GetAttr("program", &text));
    const std::string wrong = program_.parse(text);
    OP_REQUIRES(construction, wrong.empty(), absl::InvalidArgumentError(absl::StrCat("invalid row program, ", wrong, ": ", text)));
    OP_REQUIRES(construction, program_.inputs == num_inputs() && static_cast<int>(program_.outputs.size()) == num_outputs(),
                absl::InvalidArgumentError(absl::StrCat("the row program is for another number of inputs or outputs: ", text)));
  }

 protected:
  RowProgram program_;
};

}  // namespace graft
