/** The fields of PEFT's `PromptLearningConfig`, which prompt and prefix tuning have in common. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ConfigFields } from '../io/adapter-files.ts';

interface VirtualSizes {
  count: number;
  heads: number;
  /** PEFT's `token_dim`. */
  tokenSize: number;
}

export const promptLearningFields = ({ layers }: ModelConfig, { count, heads, tokenSize }: VirtualSizes): Record<string, unknown> => ({
  modules_to_save: null,
  num_attention_heads: heads,
  num_layers: layers,
  num_transformer_submodules: 1,
  num_virtual_tokens: count,
  token_dim: tokenSize,
});

/** The sizes follow from the base model; a file of other sizes is refused when its tensor is read. */
export function takePromptLearningFields(fields: ConfigFields): void {
  fields.ignore('num_attention_heads', 'num_layers', 'token_dim');
  fields.take('num_transformer_submodules', (value): value is number => value === undefined || value === null || value === 1);
}

/** @throws Refusal `unsupported_export` */
export function refuseMerge(): never {
  throw new Refusal('unsupported_export', 'the adapter puts virtual tokens before each text, which the weights of a model cannot hold', {
    param: 'format',
    hint: 'Use it with PEFT or chat with it here, or train another kind of adapter, such as "lora".',
  });
}
