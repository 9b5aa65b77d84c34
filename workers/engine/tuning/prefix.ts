/** Prefix tuning (Li & Liang 2021), as PEFT defines it: keys and values of virtual tokens, in every layer, before those of each text. */
import type { ResolvedPrefix } from '../../../src/formats/tuning/prefix.ts';
import { PROMPT_EMBEDDINGS } from '../../../src/formats/tuning/virtual-tokens.ts';
import { loadAdapter } from '../io/adapter.ts';
import { isNatural } from '../io/adapter-config.ts';
import { readAdapterFields, writeAdapterFiles } from '../io/adapter-files.ts';
import { type Tensor, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { leavesBaseFrozen } from './frozen-base.ts';
import type { JoinOptions, Method } from './method.ts';
import { promptLearningFields, refuseMerge, takePromptLearningFields } from './prompt-learning.ts';
import { normal } from './random.ts';
import { plainParameters, type Trained, variable } from './trained.ts';

export const prefix: Method<ResolvedPrefix> = {
  peftType: 'PREFIX_TUNING',
  ...leavesBaseFrozen(readTuning),
  join: joinPrefix,
  save(model, dir, { tuning, base }) {
    const { kvHeads: heads, headSize } = model.config;
    const tokenSize = heads * headSize;
    const fields = {
      ...promptLearningFields(model.config, { count: tuning.num_virtual_tokens, heads, tokenSize }),
      encoder_hidden_size: tokenSize,
      init_weights: tuning.init_weights ?? null,
      prefix_projection: false,
    };
    return writeAdapterFiles(dir, {
      config: model.config,
      tensors: model.read(),
      peftType: 'PREFIX_TUNING',
      fields,
      base,
      card: { name: 'Prefix tuning', tag: 'prefix-tuning' },
    });
  },
  // Virtual tokens are attended to whatever their keys are.
  adapter: { readTuning, isBaseAtZero: () => false, isPerRow: () => false, load: loadAdapter, openMerge: refuseMerge },
};

function readTuning(dir: string): ResolvedPrefix {
  return readAdapterFields(dir, (fields) => {
    fields.ignore('encoder_hidden_size', 'init_weights');
    takePromptLearningFields(fields);
    fields.take('prefix_projection', (value): value is false => value === undefined || value === false);
    return { type: 'prefix', num_virtual_tokens: fields.take('num_virtual_tokens', isNatural), prefix_projection: false };
  });
}

function joinPrefix(weights: ReadonlyMap<string, Tensor>, { config, tuning, seed }: JoinOptions<ResolvedPrefix>): Trained {
  const { layers, kvHeads, headSize } = config;
  const shape: [number, number] = [tuning.num_virtual_tokens, 2 * layers * kvHeads * headSize];
  // As torch.nn.Embedding.
  const first = tuning.init_weights === 'zero' ? tf.zeros(shape) : tf.tensor2d(normal(shape[0] * shape[1], { seed, name: PROMPT_EMBEDDINGS }), shape);
  const embeddings: Variable = variable(first);
  const plain = plainParameters(weights, config);
  return {
    trainable: new Map([[PROMPT_EMBEDDINGS, embeddings]]),
    parameters() {
      // [count, layers · 2 · kvHeads · headSize], a layer's keys before its values; split once, within the pass
      let parts: Tensor2D[] | undefined;
      return {
        ...plain,
        virtualKeysAndValues(layer) {
          parts ??= tf.split(embeddings as unknown as Tensor2D, 2 * layers, 1);
          return { keys: parts[2 * layer]!, values: parts[2 * layer + 1]! };
        },
      };
    },
  };
}
