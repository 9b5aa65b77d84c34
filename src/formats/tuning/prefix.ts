import { type Static, Type } from 'typebox';
import { isSoftmax } from '../mixers.ts';
import type { ModelConfig } from '../model-config.ts';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';
import { checkRoom, NumVirtualTokens, numVirtualTokens, PROMPT_EMBEDDINGS } from './virtual-tokens.ts';

/** Prefix tuning (Li & Liang 2021), with the names and meanings of PEFT's `PrefixTuningConfig`. */
export const PrefixTuning = Type.Object(
  {
    type: Type.Literal('prefix'),
    num_virtual_tokens: NumVirtualTokens,
    prefix_projection: Type.Optional(
      Type.Literal(false, { default: false, description: 'Only false: keys and values are trained themselves, not an MLP that makes them.' }),
    ),
    init_weights: Type.Optional(Type.Literal('zero', { description: 'All keys and values are zero at first; default: random numbers, as in PEFT.' })),
  },
  { additionalProperties: false, title: 'PrefixTuning' },
);
export type PrefixTuning = Static<typeof PrefixTuning>;
export type ResolvedPrefix = { type: 'prefix'; num_virtual_tokens: number; prefix_projection: false; init_weights?: 'zero' };

/** @throws Refusal if a layer has no keys and values */
function requireKeys(config: ModelConfig): void {
  if (config.mixers.every((mixer) => isSoftmax(mixer) && mixer.sizes === undefined && mixer.sharesWith === undefined)) return;
  throw new Refusal('unsupported_tuning', 'Prefix tuning trains keys and values of every layer, and some layers of this model have none or others', {
    param: 'tuning.type',
    hint: 'Use "lora", "prompt" or another method.',
  });
}

export const prefixFormat: TuningFormat<PrefixTuning, ResolvedPrefix> = {
  type: 'prefix',
  schema: PrefixTuning,
  resolve: ({ type, num_virtual_tokens: count, init_weights: init }) => ({
    type,
    num_virtual_tokens: numVirtualTokens(count),
    prefix_projection: false,
    ...(init !== undefined && { init_weights: init }),
  }),
  // PEFT's example of prefix tuning.
  baseLearningRate: 1e-2,
  trainedShapes(config, { num_virtual_tokens: count }) {
    checkRoom(config, count);
    requireKeys(config);
    return new Map([[PROMPT_EMBEDDINGS, [count, 2 * config.layers * config.kvHeads * config.headSize]]]);
  },
  keptElements: () => 0,
  delivered: 'adapter',
  // Weights cannot hold what comes before a text.
  exports: [],
  virtualTokens: (resolved) => resolved.num_virtual_tokens,
};
