// Products with a matrix that is never whole in memory as they need it: a panel of it at a time is brought into the first-level cache and multiplied
// with many tokens there.
#pragma once

#include <algorithm>
#include <vector>

#include "blocks.h"
#include "parallel.h"
#include "per-instruction-set/panel-products.h"
#include "words.h"

namespace graft {

// Words of the inner axis that a panel holds: 32 KiB.
constexpr int64_t kPanelWords = 128;
// Tokens for which a panel is made once, and the fewest for which it is made once more, so that every thread has work.
constexpr int64_t kPanelTokens = 512, kFewestPanelTokens = 64;
// Words of the left operand that stay in the second-level cache while several panels are multiplied with them: 1 MiB.
constexpr int64_t kCachedWords = 256 << 10;
// Panels side by side for which they stay there, unless threads would have no work.
constexpr int64_t kPanelsAcross = 8;
// Units of work for each thread, of which one may be slower than the others.
constexpr int64_t kUnitsPerThread = 4;

// Memory whose registers cross no cache lines.
struct alignas(64) CacheLine {
  float words[16];
};

// Grows as it is asked for.
class AlignedWords {
 public:
  template <class Word = float>
  Word *of(int64_t words) {
    const size_t lines = blocks_of(words, 16);
    if (lines > lines_.size()) lines_.resize(lines);
    return reinterpret_cast<Word *>(lines_.data());
  }

 private:
  std::vector<CacheLine> lines_;
};

template <class Element>
void multiply_panel(const PanelProduct &product) {
  if constexpr (std::is_same_v<Element, float>)
    panel_products().f32(product);
  else
    panel_products().bf16(product);
}

// X [tokens, inner] times a matrix of [inner, columns]. The sums are f32 and have one order, whatever is computed beside them.
template <class Element, class MakePanel>
class ProductByPanels {
 public:
  // @param x          of Element's type. @param out [tokens, columns]
  // @param make_panel makes a thread's panel, whose fill(first_inner, inner, first_column, columns) gives words [inner, kPanelColumns], of at most
  //                   kPanelWords
  ProductByPanels(tensorflow::OpKernelContext *context, const tensorflow::Tensor &x, int64_t columns, tensorflow::Tensor *out,
                  const MakePanel &make_panel)
      : context_(context),
        out_(out),
        make_panel_(make_panel),
        tokens_(x.dim_size(0)),
        inner_(x.dim_size(1)),
        words_(word_count<Element>(inner_)),
        columns_(columns),
        x_(pack_whole_rows<Element>(elements<Element>(x), tokens_, inner_, &whole_)) {}

  void compute() {
    if (tokens_ == 0 || columns_ == 0) return;
    const int64_t rows = blocks_of(std::min(tokens_, kPanelTokens), kPanelRows) * kPanelRows;
    tensorflow::Tensor packed;
    OP_REQUIRES_OK(context_, context_->allocate_temp(tensorflow::DT_FLOAT, tensorflow::TensorShape({rows, words_}), &packed));
    packed_ = static_cast<Word<Element> *>(packed.data());
    for (int64_t first = 0; first < tokens_; first += kPanelTokens) multiply(first, std::min(kPanelTokens, tokens_ - first));
  }

 private:
  tensorflow::OpKernelContext *const context_;
  tensorflow::Tensor *const out_;
  const MakePanel &make_panel_;
  const int64_t tokens_, inner_, words_, columns_;
  std::vector<Word<Element>> whole_;
  const PackedMatrix<Element> x_;
  Word<Element> *packed_ = nullptr;

  // Part of the result: some of the packed tokens, counted from the first of them, and columns.
  struct Unit {
    int64_t token, tokens, column, columns;
  };

  void multiply(int64_t first_token, int64_t tokens) {
    const int64_t blocks = blocks_of(tokens, kPanelRows), across = blocks_of(columns_, kPanelColumns);
    parallel(context_, blocks, kPanelRows * words_, [&](int64_t begin, int64_t end) {
      const int64_t row = begin * kPanelRows, count = std::min(end * kPanelRows, tokens) - row;
      panel_products().pack(reinterpret_cast<const uint32_t *>(x_.data) + (first_token + row) * x_.stride, x_.stride, count, words_,
                            reinterpret_cast<uint32_t *>(packed_) + row * words_);
    });
    const int64_t wanted = kUnitsPerThread * context_->device()->tensorflow_cpu_worker_threads()->num_threads;
    const int64_t side_by_side = std::max<int64_t>(std::min(across / wanted, kPanelsAcross), 1), units_across = blocks_of(across, side_by_side);
    const int64_t down = std::min(blocks_of(wanted, units_across), blocks_of(tokens, kFewestPanelTokens));
    const int64_t unit_tokens = blocks_of(blocks, down) * kPanelRows, unit_columns = side_by_side * kPanelColumns;
    parallel(context_, units_across * down, unit_tokens * inner_ * unit_columns / 32, [&](int64_t begin, int64_t end) {
      auto panel = make_panel_();
      for (int64_t i = begin; i < end; i++) {
        const int64_t token = i / units_across * unit_tokens, column = i % units_across * unit_columns;
        if (token < tokens)
          compute_unit({token, std::min(unit_tokens, tokens - token), column, std::min(unit_columns, columns_ - column)}, first_token, &panel);
      }
    });
  }

  // Goes through the inner axis in slices, so that the left operand is read once for all columns of the unit.
  template <class Panel>
  void compute_unit(const Unit &unit, int64_t first_token, Panel *panel) {
    static thread_local AlignedWords memory;
    constexpr int64_t kInner = kPanelWords * Words<Element>::kPerWord;
    const int64_t slice = std::max<int64_t>(kCachedWords / unit.tokens / kPanelWords, 1) * kInner;
    const int64_t stride = blocks_of(unit.tokens, kPanelRows) * kPanelRows * kPanelColumns;
    float *sums = memory.of(stride * blocks_of(unit.columns, kPanelColumns));
    for (int64_t begin = 0; begin < inner_; begin += slice)
      for (int64_t column = 0; column < unit.columns; column += kPanelColumns)
        for (int64_t k = begin; k < std::min(begin + slice, inner_); k += kInner) {
          const int64_t depth = std::min(kInner, inner_ - k), width = std::min(kPanelColumns, unit.columns - column);
          const auto *left = packed_ + unit.token * words_ + k / Words<Element>::kPerWord * kPanelRows;
          multiply_panel<Element>({left, words_ * kPanelRows, panel->fill(k, depth, unit.column + column, width),
                                   sums + column / kPanelColumns * stride, k > 0, unit.tokens, word_count<Element>(depth), width});
        }
    for (int64_t i = 0; i < unit.tokens; i++)
      for (int64_t column = 0; column < unit.columns; column += kPanelColumns)
        store(sums + column / kPanelColumns * stride + i * kPanelColumns, out_, (first_token + unit.token + i) * columns_ + unit.column + column,
              std::min(kPanelColumns, unit.columns - column));
  }
};

template <class Element, class MakePanel>
void multiply_by_panels(tensorflow::OpKernelContext *context, const tensorflow::Tensor &x, int64_t columns, tensorflow::Tensor *out,
                        const MakePanel &make_panel) {
  ProductByPanels<Element, MakePanel>(context, x, columns, out, make_panel).compute();
}

}  // namespace graft
