/** Prompt tuning (Lester et al. 2021), as PEFT defines it: the embeddings of virtual tokens before each text. */
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ResolvedPrompt } from '../../../src/formats/tuning/prompt.ts';
import { PROMPT_EMBEDDINGS } from '../../../src/formats/tuning/virtual-tokens.ts';
import { loadAdapter } from '../io/adapter.ts';
import { isNatural } from '../io/adapter-config.ts';
import { readAdapterFields, writeAdapterFiles } from '../io/adapter-files.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { leavesBaseFrozen } from './frozen-base.ts';
import type { Method } from './method.ts';
import { promptLearningFields, refuseMerge, takePromptLearningFields } from './prompt-learning.ts';
import { normal } from './random.ts';
import { plainParameters, variable } from './trained.ts';

export const prompt: Method<ResolvedPrompt> = {
  peftType: 'PROMPT_TUNING',
  ...leavesBaseFrozen(readTuning),
  initialText: ({ prompt_tuning_init_text: text = null }) => text,
  join(weights, { config, tuning, seed, initialTokens }) {
    const shape: [number, number] = [tuning.num_virtual_tokens, config.hiddenSize];
    // As torch.nn.Embedding.
    const embeddings = variable(tf.tensor2d(normal(shape[0] * shape[1], { seed, name: PROMPT_EMBEDDINGS }), shape));
    const parameters = { ...plainParameters(weights, config), virtualEmbeddings: embeddings as unknown as Tensor2D };
    return {
      trainable: new Map([[PROMPT_EMBEDDINGS, embeddings]]),
      initial: (_, read) =>
        initialTokens === undefined
          ? null
          : embeddingsOf(initialTokens, tuning, { table: read(`${config.names.embedding}.weight`), size: config.hiddenSize }),
      parameters: () => parameters,
    };
  },
  save(model, dir, { tuning, base }) {
    const { prompt_tuning_init: init, prompt_tuning_init_text: text = null } = tuning;
    const fields = {
      ...promptLearningFields(model.config, { count: tuning.num_virtual_tokens, heads: model.config.heads, tokenSize: model.config.hiddenSize }),
      prompt_tuning_init: init,
      prompt_tuning_init_text: text,
      tokenizer_kwargs: null,
      tokenizer_name_or_path: init === 'TEXT' ? base.name : null, // PEFT wants it together with a text, though it does not read it
    };
    return writeAdapterFiles(dir, {
      config: model.config,
      tensors: model.read(),
      peftType: 'PROMPT_TUNING',
      fields,
      base,
      card: { name: 'Prompt tuning', tag: 'prompt-tuning' },
    });
  },
  // Virtual tokens are attended to whatever their embeddings are.
  adapter: { readTuning, isBaseAtZero: () => false, isPerRow: () => false, load: loadAdapter, openMerge: refuseMerge },
};

/**
 * Embeddings of a text's tokens, which are cut or repeated to the number of virtual tokens.
 * @param table [vocab, size]
 * @throws Refusal `invalid_value` for a text without tokens
 */
function embeddingsOf(
  tokens: Int32Array,
  { num_virtual_tokens: count }: ResolvedPrompt,
  { table, size }: { table: Float32Array; size: number },
): Float32Array {
  if (tokens.length === 0)
    throw new Refusal('invalid_value', 'prompt_tuning_init_text has no tokens', {
      param: 'tuning.prompt_tuning_init_text',
      hint: 'Give a longer text.',
    });
  const values = new Float32Array(count * size);
  for (let index = 0; index < count; index++) {
    const id = tokens[index % tokens.length]!;
    values.set(table.subarray(id * size, (id + 1) * size), index * size);
  }
  return values;
}

function readTuning(dir: string): ResolvedPrompt {
  return readAdapterFields(dir, (fields) => {
    // How the embeddings began no longer matters.
    fields.ignore('prompt_tuning_init', 'prompt_tuning_init_text', 'tokenizer_kwargs', 'tokenizer_name_or_path');
    takePromptLearningFields(fields);
    return { type: 'prompt', num_virtual_tokens: fields.take('num_virtual_tokens', isNatural), prompt_tuning_init: 'RANDOM' };
  });
}
