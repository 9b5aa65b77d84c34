// Low-rank updates of several adapters in one pass: each row belongs to a text, and each text has an adapter or none. The adapters' matrices are in
// the session, where they come and go between runs.
#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernel.h"
#include "parallel.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "unknown-shapes.h"
#include "words.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Rows that are computed together.
constexpr int64_t kRowBlock = 32;

// One adapter's matrices for one layer, as right operands of products.
struct Pair {
  int64_t in, rank, out;
  std::vector<float> a;  // [in, padded(rank)], with the scaling
  std::vector<float> b;  // [rank, padded(out)]
};

// [rows, columns] as [columns, padded(rows)]
std::vector<float> transposed(const tf::Tensor &matrix, float factor) {
  const int64_t rows = matrix.dim_size(0), columns = matrix.dim_size(1), stride = padded(rows);
  const float *from = matrix.flat<float>().data();
  std::vector<float> to(columns * stride, 0.0f);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) to[j * stride + i] = from[i * columns + j] * factor;
  return to;
}

class Adapters : public tf::ResourceBase {
 public:
  // The caller owns a reference.
  static absl::Status of_session(tf::OpKernelContext *context, Adapters **adapters) {
    return context->resource_manager()->LookupOrCreate<Adapters>("", "graft-adapters", adapters, [](Adapters **made) {
      *made = new Adapters();
      return absl::OkStatus();
    });
  }
  std::string DebugString() const override { return "adapters"; }

  // @return null if the adapter leaves the layer as it is
  std::shared_ptr<const Pair> find(int32_t adapter, int64_t module) {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = pairs_.find({adapter, module});
    return found == pairs_.end() ? nullptr : found->second;
  }
  void assign(int32_t adapter, int64_t module, std::shared_ptr<const Pair> pair) {
    std::lock_guard<std::mutex> lock(mutex_);
    pairs_[{adapter, module}] = std::move(pair);
  }
  void remove(int32_t adapter) {
    std::lock_guard<std::mutex> lock(mutex_);
    pairs_.erase(pairs_.lower_bound({adapter, 0}), pairs_.lower_bound({adapter + 1, 0}));
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<int32_t, int64_t>, std::shared_ptr<const Pair>> pairs_;
};

// Y + s·(X·Aᵀ)·Bᵀ with each row's own A and B, for the layers from `first_module` on, which have the input X.
class AdapterRows : public Kernel {
 public:
  explicit AdapterRows(tf::OpKernelConstruction *construction) : Kernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("first_module", &first_module_));
  }

  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &x = context->input(0), &rows = context->input(1);
    const int64_t count = x.dim_size(0);
    OP_REQUIRES(context, x.dims() == 2 && rows.NumElements() == count,
                absl::InvalidArgumentError(absl::StrCat(name(), ": each row of x needs an adapter, or -1")));
    Adapters *adapters = nullptr;
    OP_REQUIRES_OK(context, Adapters::of_session(context, &adapters));
    tf::core::ScopedUnref unref(adapters);
    std::vector<Update> updates;
    for (int i = 2; i < context->num_inputs(); i++) {
      const tf::Tensor &y = context->input(i);
      tf::Tensor *out = nullptr;
      OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({i}, i - 2, y.shape(), &out));
      if (out->data() != y.data()) std::copy_n(y.flat<float>().data(), y.NumElements(), out->flat<float>().data());
      if (!plan(adapters, rows.flat<int32_t>().data(), x, *out, first_module_ + i - 2, &updates)) {
        context->CtxFailure(absl::InvalidArgumentError(absl::StrCat(name(), ": an adapter does not fit its layer")));
        return;
      }
    }
    int64_t cycles = 1;
    for (const Update &update : updates) cycles = std::max(cycles, update.count * update.pair->rank * (update.pair->in + update.pair->out) / 16);
    parallel(context, updates.size(), cycles, [&](int64_t begin, int64_t end) {
      std::vector<float> h;
      for (int64_t i = begin; i < end; i++) compute(updates[i], x, &h);
    });
  }

 private:
  // Neighbouring rows with the same adapter, in one layer.
  struct Update {
    std::shared_ptr<const Pair> pair;
    int64_t first, count;
    float *out;
  };
  int64_t first_module_;

  // @return whether all pairs fit
  static bool plan(Adapters *adapters, const int32_t *of_rows, const tf::Tensor &x, const tf::Tensor &out, int64_t module,
                   std::vector<Update> *updates) {
    const int64_t rows = x.dim_size(0), columns = out.dim_size(1);
    for (int64_t row = 0; row < rows;) {
      const int64_t first = row;
      while (row < rows && row - first < kRowBlock && of_rows[row] == of_rows[first]) row++;
      const auto pair = of_rows[first] < 0 ? nullptr : adapters->find(of_rows[first], module);
      if (pair == nullptr) continue;
      if (pair->in != x.dim_size(1) || pair->out != columns) return false;
      updates->push_back({pair, first, row - first, const_cast<float *>(out.flat<float>().data()) + first * columns});
    }
    return true;
  }

  static void compute(const Update &update, const tf::Tensor &x, std::vector<float> *h) {
    const auto &[in, rank, out, a, b] = *update.pair;
    h->resize(update.count * rank);
    word_products().f32_to_f32(
        {x.flat<float>().data() + update.first * in, in, 1, a.data(), padded(rank), nullptr, h->data(), rank, update.count, in, rank});
    word_products().f32_to_f32({h->data(), rank, 1, b.data(), padded(out), update.out, update.out, out, update.count, rank, out});
  }
};

class AdapterAssign : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &a = context->input(2), &b = context->input(3);
    OP_REQUIRES(context, a.dims() == 2 && b.dims() == 2 && a.dim_size(0) == b.dim_size(1),
                absl::InvalidArgumentError(absl::StrCat(name(), ": A is [r, in] and B [out, r]")));
    Adapters *adapters = nullptr;
    OP_REQUIRES_OK(context, Adapters::of_session(context, &adapters));
    tf::core::ScopedUnref unref(adapters);
    const float scaling = context->input(4).scalar<float>()();
    auto pair = std::make_shared<Pair>(Pair{a.dim_size(1), a.dim_size(0), b.dim_size(0), transposed(a, scaling), transposed(b, 1)});
    adapters->assign(context->input(0).scalar<int32_t>()(), context->input(1).scalar<int32_t>()(), std::move(pair));
    context->set_output(0, context->input(0));
  }
};

class AdapterRemove : public Kernel {
 public:
  using Kernel::Kernel;
  void Compute(tf::OpKernelContext *context) override {
    Adapters *adapters = nullptr;
    OP_REQUIRES_OK(context, Adapters::of_session(context, &adapters));
    tf::core::ScopedUnref unref(adapters);
    adapters->remove(context->input(0).scalar<int32_t>()());
    context->set_output(0, context->input(0));
  }
};

REGISTER_OP("GraftAdapterRows")
    .Input("x: float")
    .Input("adapters: int32")
    .Input("y: N * float")
    .Output("out: N * float")
    .Attr("N: int")
    .Attr("first_module: int")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftAdapterAssign")
    .Input("adapter: int32")
    .Input("module: int32")
    .Input("a: float")
    .Input("b: float")
    .Input("scaling: float")
    .Output("assigned: int32")
    .SetIsStateful()
    .SetShapeFn(unknown_shapes);
REGISTER_OP("GraftAdapterRemove").Input("adapter: int32").Output("removed: int32").SetIsStateful().SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftAdapterRows").Device(tf::DEVICE_CPU), AdapterRows);
REGISTER_KERNEL_BUILDER(Name("GraftAdapterAssign").Device(tf::DEVICE_CPU), AdapterAssign);
REGISTER_KERNEL_BUILDER(Name("GraftAdapterRemove").Device(tf::DEVICE_CPU), AdapterRemove);

}  // namespace
}  // namespace graft
