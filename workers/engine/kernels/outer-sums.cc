// Adds a product to a sum that may be as large as the matrix of all embeddings, in its memory.
#include <algorithm>
#include <vector>

#include "outer-sum.h"
#include "panels.h"
#include "tensorflow/core/framework/op.h"
#include "unknown-shapes.h"

namespace graft {
namespace {

namespace tf = tensorflow;

// Rows of the result that are computed together: those of A stay in the second-level cache.
constexpr int64_t kRows = 256;

// Without tokens nothing is computed.
class AddOuter : public OuterSumKernel {
 public:
  using OuterSumKernel::OuterSumKernel;
  void Compute(tf::OpKernelContext *context) override {
    const tf::Tensor &a = context->input(0), *sum = nullptr;
    tf::Tensor *out = nullptr;
    OP_REQUIRES_OK(context, open(context, &sum, &out));
    if (a.dim_size(0) > 0)
      with_element_type(a, [&](auto element) { add<decltype(element)>(context, sum, out); });
    else if (sum == nullptr)
      std::memset(out->data(), 0, out->TotalBytes());
    else if (sum->data() != out->data())
      std::memcpy(out->data(), sum->data(), out->TotalBytes());
  }

 private:
  template <class Element>
  static void add(tf::OpKernelContext *context, const tf::Tensor *sum, tf::Tensor *out) {
    const tf::Tensor &a = context->input(0), &b = context->input(1);
    const int64_t tokens = a.dim_size(0), p = a.dim_size(1), q = b.dim_size(1), inner = word_count<Element>(tokens);
    std::vector<Word<Element>> memory;
    AlignedWords of_panels;
    const auto right = interleave_rows<Element>(elements<Element>(b), q, tokens, q, &memory);
    const PanelFormat &format = panel_format<Element>();
    const int64_t width = format.columns;
    const int64_t across = blocks_of(q, width), words_of_panel = inner * width, words = panel_words(inner);
    auto *panels = of_panels.of<Word<Element>>(across * words_of_panel);
    parallel(context, across, words_of_panel / 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < inner; j++) {
          const Word<Element> *from = right.data + j * right.stride + i * width;
          std::copy(from, from + std::min(width, q - i * width), panels + i * words_of_panel + j * width);
        }
    });
    parallel(context, blocks_of(p, kRows), kRows * q * inner / 16, [&](int64_t begin, int64_t end) {
      static thread_local AlignedWords of_sums, of_rows;
      std::vector<Word<Element>> of_tile;
      float *sums = of_sums.of(kRows * width);
      auto *packed = of_rows.of<uint32_t>(kRows * inner);
      for (int64_t row = begin * kRows; row < std::min(end * kRows, p); row += kRows) {
        const int64_t rows = std::min(kRows, p - row);
        const auto left = interleave_rows<Element>(elements<Element>(a) + row, p, tokens, rows, &of_tile);
        format.pack_columns(reinterpret_cast<const uint32_t *>(left.data), left.stride, inner, rows, packed);
        for (int64_t i = 0; i < across; i++) {
          const int64_t columns = std::min(width, q - i * width);
          for (int64_t k = 0; k < inner; k += words) {
            const int64_t depth = std::min(words, inner - k);
            const auto *panel = panels + i * words_of_panel + k * width;
            format.multiply({packed + k * format.rows, inner * format.rows, panel, sums, k > 0, rows, depth, columns});
          }
          for (int64_t j = 0; j < rows; j++) {
            const int64_t at = (row + j) * q + i * width;
            float *into = out->flat<float>().data() + at;
            const float *found = sums + j * width;
            if (sum == nullptr)
              std::copy(found, found + columns, into);
            else
              tile_operations().vector_vector[kAdd](sum->flat<float>().data() + at, found, into, columns);
          }
        }
      }
    });
  }
};

REGISTER_OP("GraftAddOuter")
    .Input("a: T")
    .Input("b: T")
    .Input("sum: N * float")
    .Output("out: float")
    .Attr("T: {float, bfloat16}")
    .Attr("N: int >= 0")
    .SetShapeFn(unknown_shapes);
REGISTER_KERNEL_BUILDER(Name("GraftAddOuter").Device(tf::DEVICE_CPU), AddOuter);

}  // namespace
}  // namespace graft
