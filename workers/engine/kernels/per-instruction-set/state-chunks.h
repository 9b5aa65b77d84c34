// Mamba 2's state space (state-space.cc) for one head and a chunk of its tokens, which makes products of matrices of what would be a step for each
// token (Dao & Gu 2024, "state space duality"). It is compiled once for each instruction set (see instruction-set.h).
//
// Within a chunk, u[s] = dt·x of a token s reaches a later token t with the weight L[t, s], the product of the decays after s up to t. A token that
// begins a text has the decay 0, so nothing reaches it. Matrices are padded with zeros: tokens to kChunkTokens, whose decays are then 1, the state's
// rows to whole kStateRows, its columns to whole kChunkColumns.
#pragma once

#include <cstdint>

namespace graft {

constexpr int64_t kChunkTokens = 64, kStateRows = 8, kChunkColumns = 32;

// What the heads of a group share.
struct GroupChunk {
  int64_t state_rows;
  float *c, *b;        // [kChunkTokens, state_rows]
  float *c_transpose;  // [state_rows, kChunkTokens]
  float *products;     // c·bᵀ [kChunkTokens, kChunkTokens]
};

struct HeadChunk {
  int64_t columns;
  const float *decays;  // [kChunkTokens]
  const float *u;       // [kChunkTokens, columns]
  bool is_first;        // whether the state before the chunk is 0
};

// Sums over heads that a chunk's gradient is added to.
struct GroupChunkGradient {
  float *c_transpose, *b_transpose;  // [state_rows, kChunkTokens], of what goes through the state
  float *products;                   // [kChunkTokens, kChunkTokens]
};

struct StateChunks {
  // Computes c_transpose and products from c and b.
  void (*share)(const GroupChunk &);
  // y = what the tokens read [kChunkTokens, columns]. The state [state_rows, columns] becomes that after the chunk. Scratch: chunk_scratch floats.
  void (*forward)(const GroupChunk &, const HeadChunk &, float *state, float *y, float *scratch);
  // The state alone. `to` may be `from`.
  void (*advance)(const GroupChunk &, const HeadChunk &, const float *from, float *to, float *scratch);
  // Given the state before the chunk, and d_state, the gradient of the state after it: writes d_u [kChunkTokens, columns] and the gradients of the
  // decays' logarithms [kChunkTokens], adds to the group's gradients, and makes d_state the gradient of the state before the chunk.
  void (*gradient)(const GroupChunk &, const HeadChunk &, const float *d_y, const float *state, float *d_state, float *d_u, float *d_log_decays,
                   const GroupChunkGradient &, float *scratch);
  // Adds what went through products to the gradients of c and b, once for all heads. Scratch: kChunkTokens².
  void (*share_gradient)(const GroupChunk &, const GroupChunkGradient &, float *scratch);
};

// Floats that the functions above need beside their arguments.
constexpr int64_t chunk_scratch(int64_t state_rows, int64_t columns) { return (3 * kChunkTokens + 3 * columns + state_rows) * kChunkTokens; }

// Those of the instruction set that runs.
const StateChunks &state_chunks();

namespace baseline {
extern const StateChunks state_chunks;
}
namespace avx2 {
extern const StateChunks state_chunks;
}
namespace avx512 {
extern const StateChunks state_chunks;
}
namespace avx512_bf16 {
extern const StateChunks state_chunks;
}
namespace amx {
extern const StateChunks state_chunks;
}

}  // namespace graft
