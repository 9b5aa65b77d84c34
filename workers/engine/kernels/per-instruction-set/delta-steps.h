// One token's step of the gated delta rule (delta-rule.h), for a block of the columns of one head's state, which fits into the first-level cache. It
// is compiled once for each instruction set (see instruction-set.h).
#pragma once

#include <cstdint>

namespace graft {

// Columns of a state that are computed together. A state is [key_size, kStateColumns].
constexpr int64_t kStateColumns = 32;

struct DeltaToken {
  int64_t key_size;
  const float *q, *k;  // [key_size]
  float decay, beta;
};

// Gradients of a token's inputs, to which a block of columns adds its part.
struct DeltaTokenGradients {
  float *q, *k;  // [key_size]
  float *log_decay, *beta;
};

struct DeltaSteps {
  // S ← decay·S, error = v − Sᵀk, S ← S + k·(beta·error)ᵀ, o = Sᵀq. v, error and o are [kStateColumns].
  void (*forward)(const DeltaToken &, const float *v, float *state, float *error, float *o);
  // The same without the correction, error = v.
  void (*write)(const DeltaToken &, const float *v, float *state, float *o);
  // The same state from the errors that are known. `to` may be `from`.
  void (*advance)(const DeltaToken &, const float *error, const float *from, float *to);
  // Given S before and after the token, and d_state, the gradient of S after it: adds to the token's gradients, writes d_v [kStateColumns], and makes
  // d_state the gradient of S before the token.
  void (*gradient)(const DeltaToken &, const float *error, const float *d_o, const float *before, const float *after, float *d_state, float *d_v,
                   const DeltaTokenGradients &);
};

// Those of the instruction set that runs.
const DeltaSteps &delta_steps();

namespace baseline {
extern const DeltaSteps delta_steps;
}
namespace avx2 {
extern const DeltaSteps delta_steps;
}
namespace avx512 {
extern const DeltaSteps delta_steps;
}
namespace avx512_bf16 {
extern const DeltaSteps delta_steps;
}
namespace amx {
extern const DeltaSteps delta_steps;
}

}  // namespace graft
