// The instruction set that the kernels run with. They are compiled for several; the processor's best one is taken, unless the environment variable
// TF_GRAFT_INSTRUCTIONS names another.
#pragma once

#include "absl/status/status.h"
#include "per-instruction-set/adam-blocks.h"
#include "per-instruction-set/delta-steps.h"
#include "per-instruction-set/panel-products.h"
#include "per-instruction-set/quantized-rows.h"
#include "per-instruction-set/row-products.h"
#include "per-instruction-set/state-chunks.h"
#include "per-instruction-set/tile-operations.h"
#include "per-instruction-set/word-products.h"

namespace graft {

struct InstructionSet {
  const char *name;
  bool runs_here;
  const TileOperations &tile_operations;
  const WordProducts &word_products;
  const RowProducts &row_products;
  const DeltaSteps &delta_steps;
  const AdamBlocks &adam_blocks;
  const QuantizedRows &quantized_rows;
  const PanelProducts &panel_products;
  const StateChunks &state_chunks;
};

const InstructionSet &instruction_set();

// An error if TF_GRAFT_INSTRUCTIONS names a set that this processor cannot run, or one that does not exist.
const absl::Status &instruction_set_status();

}  // namespace graft
