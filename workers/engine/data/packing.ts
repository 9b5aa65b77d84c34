import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { type ResolvedTuning, virtualTokens } from '../../../src/formats/tuning/tuning.ts';
import { rowLimit } from '../model/token-grid.ts';
import type { Objective } from '../objectives/objective.ts';
import type { LogitsOptions } from '../tuning/tuned-model.ts';
import type { PackOptions } from './batches.ts';
import { type VirtualTokens, withVirtualIds } from './virtual-tokens.ts';

interface Packed {
  config: ModelConfig;
  /** null for the base model alone. */
  tuning: ResolvedTuning | null;
  objective: Pick<Objective, 'together'>;
}

/** How a model's passes are packed. */
export const packingOf = (model: Packed): PackOptions => ({
  sharedRowLimit: rowLimit(model.config),
  virtual: virtualTokensOf(model),
  together: model.objective.together ?? false,
});

/** @returns null if there are none */
export function virtualTokensOf({ config, tuning }: Omit<Packed, 'objective'>): VirtualTokens | null {
  const count = tuning === null ? 0 : virtualTokens(tuning);
  return count === 0 ? null : { count, firstId: config.vocabSize };
}

/** @returns the ids that a model is fed for a text: virtual tokens, if it has them, then its own */
export function fedText(model: Omit<Packed, 'objective'>, text: Int32Array, { withoutVirtualTokens = false }: LogitsOptions = {}): Int32Array {
  const virtual = withoutVirtualTokens ? null : virtualTokensOf(model);
  return virtual === null ? text : withVirtualIds(text, virtual);
}
