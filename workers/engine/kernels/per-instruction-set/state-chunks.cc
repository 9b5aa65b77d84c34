// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/state-chunks.h"

#include <algorithm>

#include "per-instruction-set/word-formats.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

// Rows of a product whose sums are in registers at once, in two vectors each.
#if defined(__AVX512F__)
constexpr int64_t kRows = 8;
#else
constexpr int64_t kRows = 4;
#endif
constexpr int64_t kAcross = 2 * kLanes, T = kChunkTokens;
static_assert(kStateRows % kRows == 0 && kChunkColumns % kAcross == 0 && T % kChunkColumns == 0);

struct Matrix {
  const float *data;
  int64_t row, inner;  // between neighbours on either axis
};

// Which elements of the left matrix are not zero.
enum Shape { kFull, kLower, kUpper };

// out (+)= a·b, b [inner, columns] and out [rows, columns] without gaps. The rows are whole kStateRows, the columns whole kChunkColumns.
template <bool adds, Shape shape = kFull>
void multiply(const Matrix &a, const float *b, float *out, int64_t rows, int64_t inner, int64_t columns) {
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t begin = shape == kUpper ? row : 0, end = shape == kLower ? std::min(inner, row + kRows) : inner;
    for (int64_t column = 0; column < columns; column += kAcross) {
      Floats sums[kRows][2];
      float *to = out + row * columns + column;
      for (int64_t i = 0; i < kRows; i++)
        for (int64_t j = 0; j < 2; j++) sums[i][j] = adds ? read(to + i * columns + j * kLanes) : Floats{};
      const float *left = a.data + row * a.row, *right = b + column;
      for (int64_t k = begin; k < end; k++) {
        const Floats first = read(right + k * columns), second = read(right + k * columns + kLanes);
        for (int64_t i = 0; i < kRows; i++) {
          const float x = left[i * a.row + k * a.inner];
          sums[i][0] += first * x;
          sums[i][1] += second * x;
        }
      }
      for (int64_t i = 0; i < kRows; i++)
        for (int64_t j = 0; j < 2; j++) write(sums[i][j], to + i * columns + j * kLanes);
    }
  }
}

// [rows, columns] to [columns, rows]
void transpose(const float *from, int64_t rows, int64_t columns, float *to) {
  constexpr int64_t kBlock = 8;
  for (int64_t row = 0; row < rows; row += kBlock)
    for (int64_t column = 0; column < columns; column += kBlock)
      for (int64_t j = 0; j < kBlock; j++)
        for (int64_t i = 0; i < kBlock; i++) to[(column + j) * rows + row + i] = from[(row + i) * columns + column + j];
}

inline void scale(const float *from, float by, float *to, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = from[i] * by;
}

inline double dot(const float *a, const float *b, int64_t count) {
  constexpr int64_t kSums = 16;
  float sums[kSums] = {};
  for (int64_t i = 0; i < count; i += kSums)
    for (int64_t j = 0; j < kSums; j++) sums[j] += a[i + j] * b[i + j];
  double sum = 0;
  for (float x : sums) sum += x;
  return sum;
}

// How much of a token reaches a later one, and of the state before the chunk each token; what reaches the end is the last row.
struct Reach {
  // Less is nothing beside what is read of the token itself, and products of it would soon be denormal, with which processors are slow.
  static constexpr float kLeast = 1e-30f;

  float before[T];
  float *within;  // [T, T], 0 above the diagonal
  const float *to_end() const { return within + (T - 1) * T; }

  Reach(const float *decays, float *memory) : within(memory) {
    float product = 1;
    for (int64_t t = 0; t < T; t++) {
      product *= decays[t];
      before[t] = product = product < kLeast ? 0.0f : product;
      float *row = within + t * T;
      for (int64_t s = 0; s < T; s++) {
        const float reached = t > 0 ? row[s - T] * decays[t] : 0.0f;
        row[s] = reached < kLeast ? 0.0f : reached;
      }
      row[t] = 1;
    }
  }
};

void share(const GroupChunk &group) {
  const int64_t rows = group.state_rows;
  transpose(group.b, T, rows, group.c_transpose);
  multiply<false>({group.c, rows, 1}, group.c_transpose, group.products, T, rows, T);
  transpose(group.c, T, rows, group.c_transpose);
}

// @param memory [T, columns]
void advance_by(const GroupChunk &group, const HeadChunk &head, const Reach &reach, const float *from, float *to, float *memory) {
  const int64_t rows = group.state_rows, columns = head.columns;
  for (int64_t s = 0; s < T; s++) scale(head.u + s * columns, reach.to_end()[s], memory + s * columns, columns);
  if (head.is_first)
    std::fill_n(to, rows * columns, 0.0f);
  else
    scale(from, reach.before[T - 1], to, rows * columns);
  multiply<true>({group.b, 1, rows}, memory, to, rows, T, columns);
}

void forward(const GroupChunk &group, const HeadChunk &head, float *state, float *y, float *scratch) {
  const int64_t rows = group.state_rows, columns = head.columns;
  float *weights = scratch + T * T;
  const Reach reach(head.decays, scratch);
  for (int64_t i = 0; i < T * T; i++) weights[i] = group.products[i] * reach.within[i];
  if (!head.is_first) {
    multiply<false>({group.c, rows, 1}, state, y, T, rows, columns);
    for (int64_t t = 0; t < T; t++) scale(y + t * columns, reach.before[t], y + t * columns, columns);
    multiply<true, kLower>({weights, T, 1}, head.u, y, T, T, columns);
  } else {
    multiply<false, kLower>({weights, T, 1}, head.u, y, T, T, columns);
  }
  advance_by(group, head, reach, state, state, weights + T * T);
}

void advance(const GroupChunk &group, const HeadChunk &head, const float *from, float *to, float *scratch) {
  advance_by(group, head, Reach(head.decays, scratch), from, to, scratch + T * T);
}

// With L as in the header, M = (c·bᵀ)∘L, p what of the state before reaches each token, e what of each token reaches the end, S the state before, D
// the gradient of the one after it, and G = d_y·uᵀ: d_u = Mᵀ·d_y + e·(b·D), d_products = G∘L, d_c = p·(d_y·Sᵀ) and d_b = e·(u·Dᵀ) beside that, D ←
// p_end·D + cᵀ·(p·d_y). A decay's logarithm is in everything that passes it: in pairs of a token before and one at or after it, in what the tokens
// from it on read of S, in what those before it add to the state after the chunk, and in what of S is in that. The first is a difference of sums over
// pairs, which are taken in f64 so that what is in both cancels.
void gradient(const GroupChunk &group, const HeadChunk &head, const float *d_y, const float *state, float *d_state, float *d_u, float *d_log_decays,
              const GroupChunkGradient &gradients, float *scratch) {
  const int64_t rows = group.state_rows, columns = head.columns;
  float *weights = scratch + T * T, *through = weights + T * T, *y_transpose = through + T * T, *u_transpose = y_transpose + T * columns,
        *weighted = u_transpose + T * columns, *states = weighted + T * columns;
  const Reach reach(head.decays, scratch);
  const float *to_end = reach.to_end();
  for (int64_t i = 0; i < T * T; i++) weights[i] = group.products[i] * reach.within[i];
  double of_token[T] = {}, at_end = 0;

  multiply<false>({group.b, rows, 1}, d_state, d_u, T, rows, columns);
  for (int64_t s = 0; s < T; s++) {
    scale(d_u + s * columns, to_end[s], d_u + s * columns, columns);
    const double kept = dot(d_u + s * columns, head.u + s * columns, columns);
    of_token[s] -= kept;
    at_end += kept;
  }
  multiply<true, kUpper>({weights, 1, T}, d_y, d_u, T, T, columns);

  transpose(head.u, T, columns, u_transpose);
  multiply<false>({d_y, columns, 1}, u_transpose, through, T, columns, T);
  double of_earlier[T] = {};
  for (int64_t t = 0; t < T; t++) {
    float pairs[T];
    for (int64_t s = 0; s < T; s++) {
      pairs[s] = through[t * T + s] * weights[t * T + s];
      gradients.products[t * T + s] += through[t * T + s] * reach.within[t * T + s];
    }
    pairs[t] = 0;
    double sum = 0;
    for (int64_t s = 0; s < T; s++) {
      sum += pairs[s];
      of_earlier[s] += pairs[s];
    }
    of_token[t] += sum;
  }
  for (int64_t s = 0; s < T; s++) of_token[s] -= of_earlier[s];

  multiply<false>({d_state, columns, 1}, u_transpose, states, rows, columns, T);
  for (int64_t row = 0; row < rows; row++)
    for (int64_t s = 0; s < T; s++) gradients.b_transpose[row * T + s] += states[row * T + s] * to_end[s];
  if (!head.is_first) {
    transpose(d_y, T, columns, y_transpose);
    multiply<false>({state, columns, 1}, y_transpose, states, rows, columns, T);
    float read[T] = {};
    for (int64_t row = 0; row < rows; row++)
      for (int64_t t = 0; t < T; t++) {
        const float d_c = states[row * T + t] * reach.before[t];
        gradients.c_transpose[row * T + t] += d_c;
        read[t] += d_c * group.c_transpose[row * T + t];
      }
    for (int64_t t = 0; t < T; t++) of_token[t] += read[t];
    double carried = 0;
    for (int64_t row = 0; row < rows; row++) carried += dot(state + row * columns, d_state + row * columns, columns);
    at_end += carried * reach.before[T - 1];
  }

  for (int64_t t = 0; t < T; t++) scale(d_y + t * columns, reach.before[t], weighted + t * columns, columns);
  scale(d_state, reach.before[T - 1], d_state, rows * columns);
  multiply<true>({group.c, 1, rows}, weighted, d_state, rows, T, columns);

  for (int64_t t = T - 1; t >= 0; t--) {
    at_end += of_token[t];
    d_log_decays[t] = static_cast<float>(at_end);
  }
}

void share_gradient(const GroupChunk &group, const GroupChunkGradient &gradients, float *scratch) {
  const int64_t rows = group.state_rows;
  transpose(gradients.products, T, T, scratch);
  multiply<true>({group.b, 1, rows}, scratch, gradients.c_transpose, rows, T, T);
  multiply<true>({group.c, 1, rows}, gradients.products, gradients.b_transpose, rows, T, T);
}

}  // namespace

const StateChunks state_chunks = {share, forward, advance, gradient, share_gradient};

}  // namespace graft::GRAFT_INSTRUCTIONS
