// The instruction set that the kernels run with: the best that this processor has of those they are compiled for, or the one that the environment
// variable TF_GRAFT_INSTRUCTIONS names.
#pragma once

#include "absl/status/status.h"
#include "per-instruction-set/tile-operations.h"
#include "per-instruction-set/word-products.h"

namespace graft {

struct InstructionSet {
  const char *name;
  bool runs_here;
  const TileOperations &tile_operations;
  const WordProducts &word_products;
};

const InstructionSet &instruction_set();

// An error if TF_GRAFT_INSTRUCTIONS names a set that this processor cannot run, or none at all.
const absl::Status &instruction_set_status();

}  // namespace graft
