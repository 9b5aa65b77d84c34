/** Prompt tuning (Lester et al. 2021), as PEFT defines it: the embeddings of virtual tokens before each text. */
import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import type { ResolvedPrompt } from '../../../src/formats/tuning/prompt.ts';
import { PROMPT_EMBEDDINGS } from '../../../src/formats/tuning/virtual-tokens.ts';
import { loadAdapter } from '../io/adapter.ts';
import { isNatural, readAdapterFields, writeAdapterFiles } from '../io/adapter-files.ts';
import { shapeProblems } from '../proof/adapter-shapes.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import type { Method } from './method.ts';
import { promptLearningFields, refuseMerge, takePromptLearningFields } from './prompt-learning.ts';
import { normal } from './random.ts';
import { plainParameters, variable } from './trained.ts';

export const prompt: Method<ResolvedPrompt> = {
  peftType: 'PROMPT_TUNING',
  trainsWeight: () => false,
  join(weights, { config, tuning, seed }) {
    const shape: [number, number] = [tuning.num_virtual_tokens, config.hiddenSize];
    // As torch.nn.Embedding.
    const embeddings = variable(tf.tensor2d(normal(shape[0] * shape[1], { seed, name: PROMPT_EMBEDDINGS }), shape));
    const parameters = { ...plainParameters(weights, config), virtualEmbeddings: embeddings as unknown as Tensor2D };
    return { trainable: new Map([[PROMPT_EMBEDDINGS, embeddings]]), parameters: () => parameters };
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
      tensors: model.read(),
      peftType: 'PROMPT_TUNING',
      fields,
      base,
      card: { name: 'Prompt tuning', tag: 'prompt-tuning' },
    });
  },
  tensorFiles: (dir) => [join(dir, ADAPTER_WEIGHTS_FILE)],
  layoutProblems: (dir, { tuning, modelDir }) => shapeProblems(dir, { modelDir, tuning, written: readTuning(dir) }),
  // Virtual tokens are attended to whatever their embeddings are.
  adapter: { readTuning, isBaseAtZero: () => false, load: loadAdapter, openMerge: refuseMerge },
};

function readTuning(dir: string): ResolvedPrompt {
  return readAdapterFields(dir, (fields) => {
    // What the embeddings were at first does not matter any more.
    fields.ignore('prompt_tuning_init', 'prompt_tuning_init_text', 'tokenizer_kwargs', 'tokenizer_name_or_path');
    takePromptLearningFields(fields);
    return { type: 'prompt', num_virtual_tokens: fields.take('num_virtual_tokens', isNatural), prompt_tuning_init: 'RANDOM' };
  });
}
