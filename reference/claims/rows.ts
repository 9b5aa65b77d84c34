/** What is trained for the report. */
import type { ModelConfig } from '../../src/formats/model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { resolveTuning, TUNING_TYPES, type Tuning, trainedShapes } from '../../src/formats/tuning/tuning.ts';

export interface Row {
  name: string;
  tuning: Tuning;
}

/** How much is done: everything within an hour on two cores, or what shows that the report can be made. */
export interface Extent {
  ranks: readonly number[];
  /** Methods besides full fine-tuning and LoRA. */
  others: readonly Tuning[];
  seeds: readonly number[];
  steps: number;
  examples: Record<'training' | 'choosing' | 'measured' | 'general', number>;
  /** What the base learning rate is multiplied by: the first and the second are tried, and each further one while the one before was the best. */
  rateFactors: readonly number[];
  /** Steps of each method that are timed, in turn. */
  timedSteps: number;
}

export const BATCH_SIZE = 8;

export const WHOLE: Extent = {
  ranks: [1, 2, 4, 8, 16, 64],
  others: TUNING_TYPES.filter((type) => type !== 'full' && type !== 'lora').map((type) => ({ type })),
  seeds: [1, 2, 3],
  steps: 150,
  examples: { training: 240, choosing: 48, measured: 96, general: 96 },
  rateFactors: [1, 4, 16, 64],
  timedSteps: 15,
};

export const QUICK: Extent = {
  ranks: [1, 4],
  others: [{ type: 'ia3' }],
  seeds: [1],
  steps: 4,
  examples: { training: 24, choosing: 8, measured: 8, general: 8 },
  rateFactors: [4],
  timedSteps: 3,
};

export const FULL: Row = { name: 'full', tuning: { type: 'full' } };
/** α = 2r, so that the factor on B·A is the same for all ranks. */
const loraRow = (r: number): Row => ({ name: `LoRA, r ${r}`, tuning: { type: 'lora', r, lora_alpha: 2 * r } });
const NAMES: Readonly<Record<string, string>> = { ia3: '(IA)³', vera: 'VeRA', prompt: 'prompt tuning', prefix: 'prefix tuning', bitfit: 'BitFit' };

export interface Plan {
  rows: Row[];
  /** What the model cannot be trained with, and why. */
  impossible: string[];
}

/** Full fine-tuning comes first, because the others are compared with it. */
export function planOf({ ranks, others }: Extent, config: ModelConfig): Plan {
  const rows = [FULL, ...ranks.map(loraRow), ...others.map((tuning) => ({ name: NAMES[tuning.type] ?? tuning.type, tuning }))];
  const plan: Plan = { rows: [], impossible: [] };
  for (const row of rows) {
    try {
      trainedShapes(config, resolveTuning(row.tuning));
      plan.rows.push(row);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      plan.impossible.push(`${row.name}: ${error.message}`);
    }
  }
  return plan;
}
