import { type Static, Type } from 'typebox';
import { Refusal } from '../refusal.ts';
import type { TuningFormat } from './format.ts';
import { checkRoom, NumVirtualTokens, numVirtualTokens, PROMPT_EMBEDDINGS } from './virtual-tokens.ts';

/** Prompt tuning (Lester et al. 2021), with the names and meanings of PEFT's `PromptTuningConfig`. */
export const PromptTuning = Type.Object(
  {
    type: Type.Literal('prompt'),
    num_virtual_tokens: NumVirtualTokens,
    prompt_tuning_init: Type.Optional(
      Type.Union([Type.Literal('RANDOM'), Type.Literal('TEXT')], {
        default: 'RANDOM',
        description: "The embeddings at first: random numbers, or those of a text's tokens, which are cut or repeated to num_virtual_tokens.",
      }),
    ),
    prompt_tuning_init_text: Type.Optional(
      Type.String({ minLength: 1, maxLength: 16_384, description: 'The text, such as an instruction; only with prompt_tuning_init "TEXT".' }),
    ),
  },
  { additionalProperties: false, title: 'PromptTuning' },
);
export type PromptTuning = Static<typeof PromptTuning>;
export type ResolvedPrompt = { type: 'prompt'; num_virtual_tokens: number; prompt_tuning_init: 'RANDOM' | 'TEXT'; prompt_tuning_init_text?: string };

export const promptFormat: TuningFormat<PromptTuning, ResolvedPrompt> = {
  type: 'prompt',
  schema: PromptTuning,
  resolve({ type, num_virtual_tokens: count, prompt_tuning_init: init = 'RANDOM', prompt_tuning_init_text: text }) {
    if ((init === 'TEXT') !== (text !== undefined))
      throw new Refusal('invalid_value', `prompt_tuning_init is ${init} ${text === undefined ? 'without' : 'with'} a prompt_tuning_init_text`, {
        param: 'tuning.prompt_tuning_init_text',
        hint: 'Give the text together with "prompt_tuning_init": "TEXT", or neither.',
      });
    const resolved: ResolvedPrompt = { type, num_virtual_tokens: numVirtualTokens(count), prompt_tuning_init: init };
    return text === undefined ? resolved : { ...resolved, prompt_tuning_init_text: text };
  },
  // PEFT's example of prompt tuning a causal model.
  baseLearningRate: 3e-2,
  trainedShapes(config, { num_virtual_tokens: count }) {
    checkRoom(config, count);
    return new Map([[PROMPT_EMBEDDINGS, [count, config.hiddenSize]]]);
  },
  keptElements: () => 0,
  delivered: 'adapter',
  // Weights cannot hold what comes before a text.
  exports: [],
  virtualTokens: (resolved) => resolved.num_virtual_tokens,
};
