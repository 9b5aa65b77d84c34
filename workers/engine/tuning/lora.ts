/** LoRA (Hu et al. 2021), as PEFT defines it. */

import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { linearLayers } from '../../../src/formats/module-shapes.ts';
import { loraScaling, peftName, type ResolvedLora, targetedModules } from '../../../src/formats/tuning/lora.ts';
import { loadAdapter, readAdapterConfig, saveAdapter } from '../io/adapter.ts';
import { adapterProblems, configProblems } from '../proof/adapter-layout.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { expansionGradientKernel, LARGEST_THIN_RANK, ownKernels, statelessUniform } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import type { Method } from './method.ts';
import { hashName, uniform } from './random.ts';
import { byName, plainParameters, type Trained, variable } from './trained.ts';

interface LoraPair {
  /** [r, in], initially Kaiming-uniform with a = √5: within ±1/√in */
  A: Variable;
  /** [out, r], initially zero, so that a new adapter changes nothing */
  B: Variable;
}

export const lora: Method<ResolvedLora> = {
  peftType: 'LORA',
  trainsWeight: () => false,
  join: joinPairs,
  save: (model, dir, { tuning, base }) => saveAdapter(model, dir, { tuning, baseModelName: base.name, baseModelRevision: base.revision }),
  tensorFiles: (dir) => [join(dir, ADAPTER_WEIGHTS_FILE)],
  layoutProblems(dir, { tuning, modelDir }) {
    const written = readAdapterConfig(dir);
    return [...configProblems(written, tuning), ...adapterProblems(dir, modelDir, written)];
  },
  adapter: { readTuning: readAdapterConfig, isBaseAtZero: () => true, isPerRow: () => true, load: loadAdapter },
};

/** Adds a pair to every targeted layer of a frozen base. */
function joinPairs(weights: ReadonlyMap<string, Tensor>, options: { config: ModelConfig; tuning: ResolvedLora; seed: number }): Trained {
  const { config, tuning, seed } = options;
  const layers = linearLayers(config);
  const pairs = new Map<string, LoraPair>();
  const trainable = new Map<string, Variable>();
  for (const module of targetedModules([...layers.keys()], tuning.target_modules)) {
    const { out, in: input } = layers.get(module)!;
    const name = peftName(module, 'A');
    const A = variable(tf.tensor2d(uniform(tuning.r * input, { bound: 1 / Math.sqrt(input), seed, name }), [tuning.r, input]));
    const B = variable(tf.zeros([out, tuning.r]));
    pairs.set(module, { A, B });
    trainable.set(name, A).set(peftName(module, 'B'), B);
  }
  const scaling = loraScaling(tuning);
  const plain = plainParameters(weights, config);
  return {
    trainable: byName(trainable),
    parameters(key) {
      const linears = (modules: readonly string[], x: Tensor2D): Tensor2D[] => {
        const frozen = plain.linears(modules, x);
        const targeted = modules.filter((module) => pairs.has(module));
        const tuned = targeted.map((module) => pairs.get(module)!);
        const reductions = within(modules[0]!, () => {
          if (key === undefined || tuning.lora_dropout === 0) return reduced(x, tuned, scaling);
          // Each layer drops different elements.
          return targeted.flatMap((module, index) =>
            reduced(x, [tuned[index]!], scaling, { rate: tuning.lora_dropout, seed: keyOfModule(key, module) }),
          );
        });
        return modules.map((module, index) => {
          const at = targeted.indexOf(module);
          return at === -1 ? frozen[index]! : within(module, () => expanded(frozen[index]!, reductions[at]!, tuned[at]!.B));
        });
      };
      return { weight: plain.weight, linear: (module, x) => linears([module], x)[0]!, linears };
    },
  };
}

/** A different key for each module; the sum wraps around. */
export const keyOfModule = (key: Tensor1D, module: string): Tensor1D => tf.add(key, tf.tensor1d([0, hashName(module) | 0], 'int32'));

interface Dropout {
  rate: number;
  /** [2] int32 */
  seed: Tensor1D;
}

/**
 * The first product of y = xWᵀ + s·((D·x)Aᵀ)Bᵀ, for all layers with the same input x at once: H = s·(D·x)Aᵀ, with their A stacked. D zeroes elements
 * with probability p; s includes the factor 1 / (1 − p) of the others. dx = s·D·(dH·A), dA = s·dHᵀ(D·x).
 * @param x [tokens, in]
 * @returns [tokens, r] for each
 */
function reduced(x: Tensor2D, pairs: readonly LoraPair[], scaling: number, dropout?: Dropout): Tensor2D[] {
  if (pairs.length === 0) return [];
  const A = pairs.length === 1 ? (pairs[0]!.A as unknown as Tensor2D) : tf.concat(pairs.map((pair) => pair.A as unknown as Tensor2D));
  const s = dropout === undefined ? scaling : scaling / (1 - dropout.rate);
  const H = differentiable<Tensor2D>([x, A], () => {
    const D = dropout === undefined ? undefined : tf.cast(tf.greaterEqual(statelessUniform(x.shape, dropout.seed), dropout.rate), 'float32');
    const kept = D === undefined ? x : tf.mul(x, D);
    return {
      value: tf.mul(tf.matMul(kept, A, false, true), s), // [tokens, layers · r]
      saved: D === undefined ? [kept, A] : [kept, A, D],
      gradient(dH, [kept, A, D]) {
        const scaled: Tensor2D = tf.mul(dH, s);
        const throughA = tf.matMul(scaled, A as Tensor2D);
        return [D === undefined ? throughA : tf.mul(throughA, D), tf.matMul(scaled, kept as Tensor2D, true, false)];
      },
    };
  });
  return pairs.length === 1 ? [H] : tf.split(H, pairs.length, 1);
}

/**
 * The second product: y + H·Bᵀ. dH = dy·B, dB = dyᵀH.
 * @param y [tokens, out]
 * @param H [tokens, r]
 */
function expanded(y: Tensor2D, H: Tensor2D, B: Variable): Tensor2D {
  return differentiable<Tensor2D>([y, H, B], () => ({
    value: tf.add(y, tf.matMul(H, B as unknown as Tensor2D, false, true)),
    saved: [H, B],
    gradient(dy, [H, B]) {
      if (ownKernels() && H!.shape[1]! <= LARGEST_THIN_RANK) return [tf.clone(dy), ...expansionGradientKernel(dy, H as Tensor2D, B as Tensor2D)];
      return [tf.clone(dy), tf.matMul(dy, B as Tensor2D), tf.matMul(dy, H as Tensor2D, true, false)];
    },
  }));
}
