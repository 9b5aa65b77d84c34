// Compiled once for each instruction set, in a namespace with its name (GRAFT_INSTRUCTIONS).
#include "per-instruction-set/delta-steps.h"

#include "per-instruction-set/word-formats.h"

namespace graft::GRAFT_INSTRUCTIONS {
namespace {

constexpr int64_t kVectors = kStateColumns / kLanes;

// Always in the same order.
inline float sum(const Floats &x) {
  float lanes[kLanes];
  write(x, lanes);
  for (int64_t width = kLanes / 2; width > 0; width /= 2)
    for (int64_t i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

// A row of a state, or something that belongs to each of its columns.
struct Row {
  Floats part[kVectors];
};
inline Row load_row(const float *from) {
  Row row;
  for (int64_t i = 0; i < kVectors; i++) row.part[i] = read(from + i * kLanes);
  return row;
}
inline void store_row(float *to, const Row &row) {
  for (int64_t i = 0; i < kVectors; i++) write(row.part[i], to + i * kLanes);
}

void forward(const DeltaToken &token, const float *v, float *state, float *error, float *o) {
  Row predicted = {}, updated, result = {};
  for (int64_t i = 0; i < token.key_size; i++) {
    Row row = load_row(state + i * kStateColumns);
    for (int64_t j = 0; j < kVectors; j++) {
      row.part[j] *= token.decay;
      predicted.part[j] += row.part[j] * token.k[i];
    }
    store_row(state + i * kStateColumns, row);
  }
  Row difference = load_row(v);
  for (int64_t j = 0; j < kVectors; j++) {
    difference.part[j] -= predicted.part[j];
    updated.part[j] = difference.part[j] * token.beta;
  }
  store_row(error, difference);
  for (int64_t i = 0; i < token.key_size; i++) {
    Row row = load_row(state + i * kStateColumns);
    for (int64_t j = 0; j < kVectors; j++) {
      row.part[j] += updated.part[j] * token.k[i];
      result.part[j] += row.part[j] * token.q[i];
    }
    store_row(state + i * kStateColumns, row);
  }
  store_row(o, result);
}

void write(const DeltaToken &token, const float *v, float *state, float *o) {
  Row update = load_row(v), result = {};
  for (int64_t j = 0; j < kVectors; j++) update.part[j] *= token.beta;
  for (int64_t i = 0; i < token.key_size; i++) {
    Row row = load_row(state + i * kStateColumns);
    for (int64_t j = 0; j < kVectors; j++) {
      row.part[j] = row.part[j] * token.decay + update.part[j] * token.k[i];
      result.part[j] += row.part[j] * token.q[i];
    }
    store_row(state + i * kStateColumns, row);
  }
  store_row(o, result);
}

void advance(const DeltaToken &token, const float *error, const float *from, float *to) {
  Row update = load_row(error);
  for (int64_t j = 0; j < kVectors; j++) update.part[j] *= token.beta;
  for (int64_t i = 0; i < token.key_size; i++) {
    Row row = load_row(from + i * kStateColumns);
    for (int64_t j = 0; j < kVectors; j++) row.part[j] = row.part[j] * token.decay + update.part[j] * token.k[i];
    store_row(to + i * kStateColumns, row);
  }
}

// With u = beta·error, S′ = decay·S the state before the update, and D the gradient of S after it:
// D ← D + q·d_oᵀ, d_q = (S′ + k·uᵀ)·d_o, d_u = Dᵀk, d_v = beta·d_u, d_beta = error·d_u, d_k = D·u − S′·d_v, D′ = D − k·d_vᵀ, d_log_decay = Σ D′·S′.
void gradient(const DeltaToken &token, const float *error, const float *d_o, const float *before, const float *after, float *d_state, float *d_v,
              const DeltaTokenGradients &gradients) {
  const Row result = load_row(d_o), errors = load_row(error);
  Row u, d_u = {};
  for (int64_t j = 0; j < kVectors; j++) u.part[j] = errors.part[j] * token.beta;
  for (int64_t i = 0; i < token.key_size; i++) {
    const Row row = load_row(after + i * kStateColumns);
    Row d_row = load_row(d_state + i * kStateColumns);
    Floats product = {};
    for (int64_t j = 0; j < kVectors; j++) {
      d_row.part[j] += result.part[j] * token.q[i];
      d_u.part[j] += d_row.part[j] * token.k[i];
      product += row.part[j] * result.part[j];
    }
    store_row(d_state + i * kStateColumns, d_row);
    gradients.q[i] += sum(product);
  }
  Row values;
  Floats of_beta = {};
  for (int64_t j = 0; j < kVectors; j++) {
    values.part[j] = d_u.part[j] * token.beta;
    of_beta += d_u.part[j] * errors.part[j];
  }
  store_row(d_v, values);
  *gradients.beta += sum(of_beta);
  Floats of_decay = {};
  for (int64_t i = 0; i < token.key_size; i++) {
    const Row row = load_row(before + i * kStateColumns);
    Row d_row = load_row(d_state + i * kStateColumns);
    Floats product = {};
    for (int64_t j = 0; j < kVectors; j++) {
      const Floats decayed = row.part[j] * token.decay;
      product += d_row.part[j] * u.part[j] - decayed * values.part[j];
      d_row.part[j] -= values.part[j] * token.k[i];
      of_decay += d_row.part[j] * decayed;
      d_row.part[j] *= token.decay;
    }
    store_row(d_state + i * kStateColumns, d_row);
    gradients.k[i] += sum(product);
  }
  *gradients.log_decay += sum(of_decay);
}

}  // namespace

const DeltaSteps delta_steps = {forward, write, advance, gradient};

}  // namespace graft::GRAFT_INSTRUCTIONS
