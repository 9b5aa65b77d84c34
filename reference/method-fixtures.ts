/** Measures how far a method other than LoRA is from PEFT, on the fixtures in `methods/`. */
import { readdirSync } from 'node:fs';
import type { ResolvedTuning } from '../src/formats/tuning/tuning.ts';
import type { CompiledModel } from '../workers/engine/compiled/compiled-model.ts';
import { openForTraining } from '../workers/engine/compiled/open-model.ts';
import type { Batch } from '../workers/engine/data/batch.ts';
import { virtualTokensOf } from '../workers/engine/data/packing.ts';
import { withVirtualTokens } from '../workers/engine/data/virtual-tokens.ts';
import { type EagerModel, openEagerForTraining } from '../workers/engine/eager/eager-model.ts';
import { methodOf, readAdapterTuning } from '../workers/engine/tuning/methods.ts';
import { referenceBatch, referencePath } from './fixtures.ts';
import { type Differences, gradientsDifference, logitsDifference, lossDifference, stepsDifference, withModel } from './measures.ts';

type Model = EagerModel | CompiledModel;

/** A key's bias changes the softmax hardly or not at all: its gradient is near AdamW's epsilon, which makes steps of rounding errors. */
const KEY_BIAS = /(k_proj|c_attn)\.bias$/;

/** What a method without an adapter is, by its folder. */
const WEIGHT_METHODS: Readonly<Record<string, ResolvedTuning>> = {
  bitfit: { type: 'bitfit' },
  'last-block': { type: 'full', layers_to_transform: [1], freeze_embeddings: true },
};

export interface MethodCase {
  method: string;
  model: string;
  /** The fixture of the base model. */
  where: ['cases' | 'families', string];
  /** The method's own. */
  folder: string[];
  tuning: ResolvedTuning;
  /** null for a method that trains weights of the base. */
  adapterDir: string | null;
}

export const methodCases: MethodCase[] = readdirSync(referencePath('methods')).flatMap((method) =>
  readdirSync(referencePath('methods', method)).map((model) => {
    const folder = ['methods', method, model];
    const weights = WEIGHT_METHODS[method];
    const adapterDir = weights === undefined ? referencePath(...folder, 'adapter') : null;
    const where: MethodCase['where'] = [readdirSync(referencePath('cases')).includes(model) ? 'cases' : 'families', model];
    return { method, model, where, folder, tuning: weights ?? readAdapterTuning(adapterDir!), adapterDir };
  }),
);

/** The model with the values that PEFT started from. */
export function openMethod({ where, tuning, adapterDir }: MethodCase, kind: 'eager' | 'compiled'): Model {
  const modelDir = referencePath(...where, 'model');
  const model: Model =
    kind === 'eager' ? openEagerForTraining({ modelDir, tuning, seed: 1 }) : openForTraining({ modelDir, tuning, seed: 1, weightDecay: 0 });
  if (adapterDir !== null) methodOf(tuning).adapter!.load(model, adapterDir);
  return model;
}

/** The fixture's batch as a model is fed it: with virtual tokens before each row, if the method has them. */
export function methodBatch({ where }: MethodCase, model: Pick<Model, 'config' | 'tuning'>): Batch {
  const [kind, name] = where;
  const batch = referenceBatch(name, kind);
  const virtual = virtualTokensOf(model);
  if (virtual === null) return batch;
  // Padded as PEFT was, because some rotary scalings depend on the length of the rows.
  const length = virtual.count + batch.length;
  const fed = { rows: batch.rows, length, inputIds: new Int32Array(batch.rows * length), lossWeights: new Float32Array(batch.rows * length) };
  for (let row = 0; row < batch.rows; row++) {
    const [first, end] = [row * batch.length, (row + 1) * batch.length];
    const extended = withVirtualTokens({ inputIds: batch.inputIds.slice(first, end), lossWeights: batch.lossWeights.slice(first, end) }, virtual);
    fed.inputIds.set(extended.inputIds, row * length);
    fed.lossWeights.set(extended.lossWeights, row * length);
  }
  return fed;
}

/** @returns the differences to PEFT before training and after ten steps */
export function methodDifferences(one: MethodCase, kind: 'eager' | 'compiled'): Differences & { correct: number; trained: number } {
  const { folder, where } = one;
  const [fixtures, name] = where;
  const before = withModel(
    () => openMethod(one, kind),
    (model) => {
      const batch = methodBatch(one, model);
      return {
        logits: logitsDifference(model, referenceBatch(name, fixtures), folder, where),
        loss: lossDifference(model, batch, folder),
        gradients: gradientsDifference(model, batch, [...folder, 'gradients.safetensors']),
        correct: model.evaluate(batch)['correct']!,
        trained: model.trainableParameters,
      };
    },
  );
  const steps = withModel(
    () => openMethod(one, kind),
    (model) => stepsDifference(model, methodBatch(one, model), [...folder, 'after-10-steps.safetensors'], { counts: (name) => !KEY_BIAS.test(name) }),
  );
  return { ...before, steps };
}
