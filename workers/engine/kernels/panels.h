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
constexpr int64_t kUnitsPerThread = 2;

// Words of each panel but the last along an inner axis, so that none is much shorter than the others: whole registers of them.
inline int64_t panel_words(int64_t words) {
  const int64_t panels = std::max<int64_t>(blocks_of(words, kPanelWords), 1);
  return std::max<int64_t>(blocks_of(blocks_of(words, panels), kColumnBlock), 1) * kColumnBlock;
}

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

// @return of products of these elements with a panel of their own type
template <class Element>
const PanelFormat &panel_format() {
  return std::is_same_v<Element, float> ? panel_products().f32 : panel_products().bf16;
}

// X [tokens, inner] times a matrix of [inner, columns]. The sums are f32 and have one order, whatever is computed beside them.
// Element is the type of the panel's elements.
template <class Element, class MakePanel>
class ProductByPanels {
 public:
  // @param x          of Element's type, or f32 in a format that takes it. @param out [tokens, columns]
  // @param make_panel makes a thread's panel. Its fill(first_inner, inner, first_column, columns) gives words [inner, columns of the format], of at
  //                   most kPanelWords; ahead(…) says which memory that reads, and along_inner() whether it lies there along the inner axis rather
  //                   than across it
  ProductByPanels(tensorflow::OpKernelContext *context, const PanelFormat &format, const tensorflow::Tensor &x, int64_t columns,
                  tensorflow::Tensor *out, const MakePanel &make_panel)
      : context_(context),
        format_(format),
        x_(x),
        out_(out),
        make_panel_(make_panel),
        tokens_(x.dim_size(0)),
        inner_(x.dim_size(1)),
        words_(word_count<Element>(inner_)),
        columns_(columns) {}

  void compute() {
    if (tokens_ == 0 || columns_ == 0) return;
    const int64_t rows = blocks_of(std::min(tokens_, kPanelTokens), format_.rows) * format_.rows;
    tensorflow::Tensor packed;
    OP_REQUIRES_OK(context_, context_->allocate_temp(tensorflow::DT_FLOAT, tensorflow::TensorShape({rows, row_words()}), &packed));
    packed_ = static_cast<uint32_t *>(packed.data());
    for (int64_t first = 0; first < tokens_; first += kPanelTokens) multiply(first, std::min(kPanelTokens, tokens_ - first));
  }

 private:
  tensorflow::OpKernelContext *const context_;
  const PanelFormat &format_;
  const tensorflow::Tensor &x_;
  tensorflow::Tensor *const out_;
  const MakePanel &make_panel_;
  const int64_t tokens_, inner_, words_, columns_;
  uint32_t *packed_ = nullptr;

  // Part of the result: some of the packed tokens, counted from the first of them, and columns.
  struct Unit {
    int64_t token, tokens, column, columns;
  };

  int64_t row_words() const { return words_ * format_.parts; }

  void pack(int64_t first, int64_t count, uint32_t *out) const {
    with_element_type(x_, [&](auto element) {
      using Given = decltype(element);
      const Given *x = elements<Given>(x_) + first * inner_;
      const int64_t whole = words_ * Words<Element>::kPerWord;
      if (whole == inner_) return format_.pack(x, inner_, count, words_, out);
      // Elements that fill the last word.
      std::vector<Given> rows(count * whole);
      for (int64_t i = 0; i < count; i++) std::copy(x + i * inner_, x + (i + 1) * inner_, rows.data() + i * whole);
      format_.pack(rows.data(), whole, count, words_, out);
    });
  }

  void multiply(int64_t first_token, int64_t tokens) {
    const int64_t blocks = blocks_of(tokens, format_.rows), across = blocks_of(columns_, format_.columns);
    parallel(context_, blocks, format_.rows * row_words(), [&](int64_t begin, int64_t end) {
      const int64_t row = begin * format_.rows;
      pack(first_token + row, std::min(end * format_.rows, tokens) - row, packed_ + row * row_words());
    });
    const int64_t wanted = kUnitsPerThread * context_->device()->tensorflow_cpu_worker_threads()->num_threads;
    const int64_t side_by_side = std::max<int64_t>(std::min(across / wanted, kPanelsAcross), 1), units_across = blocks_of(across, side_by_side);
    const int64_t down = std::min(blocks_of(wanted, units_across), blocks_of(tokens, kFewestPanelTokens));
    const int64_t unit_tokens = blocks_of(blocks, down) * format_.rows, unit_columns = side_by_side * format_.columns;
    parallel(context_, units_across * down, unit_tokens * inner_ * unit_columns / 32, [&](int64_t begin, int64_t end) {
      auto panel = make_panel_();
      for (int64_t i = begin; i < end; i++) {
        const int64_t token = i / units_across * unit_tokens, column = i % units_across * unit_columns;
        if (token < tokens)
          compute_unit({token, std::min(unit_tokens, tokens - token), column, std::min(unit_columns, columns_ - column)}, first_token, &panel);
      }
    });
  }

  // Goes through the inner axis in slices, so that the left operand is read once for all columns of the unit, and the matrix as it lies in memory.
  template <class Panel>
  void compute_unit(const Unit &unit, int64_t first_token, Panel *panel) {
    static thread_local AlignedWords memory;
    const int64_t words = panel_words(words_), panel_inner = words * Words<Element>::kPerWord;
    const int64_t panels = panel->along_inner() ? kCachedWords / (unit.tokens * format_.parts) / words : 1;
    const int64_t slice = std::max<int64_t>(panels, 1) * panel_inner;
    const int64_t stride = blocks_of(unit.tokens, format_.rows) * format_.rows * format_.columns;
    float *sums = memory.of(stride * blocks_of(unit.columns, format_.columns));
    const auto width_at = [&](int64_t column) { return std::min(format_.columns, unit.columns - column); };
    for (int64_t begin = 0; begin < inner_; begin += slice) {
      const int64_t end = std::min(begin + slice, inner_);
      for (int64_t column = 0; column < unit.columns; column += format_.columns)
        for (int64_t k = begin; k < end; k += panel_inner) {
          const int64_t depth = std::min(panel_inner, inner_ - k);
          const auto *left = packed_ + unit.token * row_words() + k / Words<Element>::kPerWord * format_.rows * format_.parts;
          // The panel after this one.
          const bool goes_on = k + panel_inner < end;
          const int64_t next_column = goes_on ? column : column + format_.columns, next = goes_on ? k + panel_inner : begin;
          Ahead ahead;
          if (next_column < unit.columns)
            ahead = panel->ahead(next, std::min(panel_inner, inner_ - next), unit.column + next_column, width_at(next_column));
          format_.multiply({left, row_words() * format_.rows, panel->fill(k, depth, unit.column + column, width_at(column)),
                            sums + column / format_.columns * stride, k > 0, unit.tokens, word_count<Element>(depth), width_at(column), ahead});
        }
    }
    for (int64_t i = 0; i < unit.tokens; i++)
      for (int64_t column = 0; column < unit.columns; column += format_.columns)
        store(sums + column / format_.columns * stride + i * format_.columns, out_, (first_token + unit.token + i) * columns_ + unit.column + column,
              std::min(format_.columns, unit.columns - column));
  }
};

template <class Element, class MakePanel>
void multiply_by_panels(tensorflow::OpKernelContext *context, const PanelFormat &format, const tensorflow::Tensor &x, int64_t columns,
                        tensorflow::Tensor *out, const MakePanel &make_panel) {
  ProductByPanels<Element, MakePanel>(context, format, x, columns, out, make_panel).compute();
}

}  // namespace graft
