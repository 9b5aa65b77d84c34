/** What prompt and prefix tuning share: trained tokens before each text. */
import { Type } from 'typebox';
import type { ModelConfig } from '../model-config.ts';
import { Refusal } from '../refusal.ts';

/** Far more than helps (Lester et al. 2021 find little gain past 20), so that a mistake does not fill the memory. */
const MAX_VIRTUAL_TOKENS = 1024;
const DEFAULT_VIRTUAL_TOKENS = 20;
/** At least this much of the context is left for the text: the smallest `max_length`. */
const LEAST_TEXT_TOKENS = 8;

export const NumVirtualTokens = Type.Optional(
  Type.Integer({
    minimum: 1,
    maximum: MAX_VIRTUAL_TOKENS,
    default: DEFAULT_VIRTUAL_TOKENS,
    description: "Trained tokens before each text. They count in the model's context.",
  }),
);

export const numVirtualTokens = (requested: number = DEFAULT_VIRTUAL_TOKENS): number => requested;

/** PEFT's name for what is trained, in `adapter_model.safetensors`. */
export const PROMPT_EMBEDDINGS = 'prompt_embeddings';

/** @throws Refusal `too_many_virtual_tokens` if they leave no room for a text; `unsupported_tuning` if a token is more than its embedding */
export function checkRoom({ maxPositionTokens, perLayerInputs }: ModelConfig, count: number): void {
  if (perLayerInputs !== undefined)
    throw new Refusal('unsupported_tuning', 'Virtual tokens have embeddings, and this model looks every token up for each of its layers too', {
      param: 'tuning.type',
      hint: 'Use "lora" or another method.',
    });
  const most = maxPositionTokens - LEAST_TEXT_TOKENS;
  if (count > most)
    throw new Refusal('too_many_virtual_tokens', `num_virtual_tokens is ${count}, and the model's context is ${maxPositionTokens} tokens`, {
      param: 'tuning.num_virtual_tokens',
      hint: `Use at most ${most}, so that a text has room after them.`,
    });
}
