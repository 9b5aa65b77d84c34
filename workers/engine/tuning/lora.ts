/** LoRA (Hu et al. 2021), as PEFT defines it. */
import { InputError } from '../../../src/formats/input-error.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ALL_LINEAR, loraScaling, type ResolvedLora } from '../../../src/formats/tuning.ts';
import { differentiable } from '../differentiable.ts';
import { linearLayers } from '../model/module-shapes.ts';
import { statelessUniform } from '../native.ts';
import { within } from '../scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf, type Variable } from '../tensorflow.ts';
import { hashName, uniform } from './random.ts';
import { type LinearWeights, linearWeights, plainLinear, plainParameters, type Trained, variable } from './trained.ts';

/** PEFT's name of a trained matrix in `adapter_model.safetensors`. */
export const peftName = (module: string, matrix: 'A' | 'B'): string => `base_model.model.${module}.lora_${matrix}.weight`;

interface LoraPair {
  /** [r, in], Kaiming-uniform with a = √5 at first: within ±1/√in */
  A: Variable;
  /** [out, r], zero at first, so that a new adapter changes nothing */
  B: Variable;
}

/** Pairs on every targeted layer of a frozen base. */
export function trainLora(weights: ReadonlyMap<string, Tensor>, options: { config: ModelConfig; tuning: ResolvedLora; seed: number }): Trained {
  const { config, tuning, seed } = options;
  const layers = linearLayers(config);
  const pairs = new Map<string, LoraPair>();
  const trainable = new Map<string, Variable>();
  for (const module of targetedModules([...layers.keys()], tuning.target_modules)) {
    const { out, in: into } = layers.get(module)!;
    const name = peftName(module, 'A');
    const A = variable(tf.tensor2d(uniform(tuning.r * into, { bound: 1 / Math.sqrt(into), seed, name }), [tuning.r, into]));
    const B = variable(tf.zeros([out, tuning.r]));
    pairs.set(module, { A, B });
    trainable.set(name, A).set(peftName(module, 'B'), B);
  }
  const scaling = loraScaling(tuning);
  const plain = plainParameters(weights, config);
  return {
    trainable: new Map([...trainable].sort(([a], [b]) => (a < b ? -1 : 1))),
    parameters: (key) => ({
      weight: plain.weight,
      linear(module, x) {
        const pair = pairs.get(module);
        if (pair === undefined) return plain.linear(module, x);
        const frozen = linearWeights(weights, module, config);
        if (key === undefined || tuning.lora_dropout === 0) return within(module, () => loraLinear(x, frozen, { ...pair, scaling }));
        const dropout = { rate: tuning.lora_dropout, seed: keyOfModule(key, module) };
        return within(module, () => loraLinear(x, frozen, { ...pair, scaling, dropout }));
      },
    }),
  };
}

/** Another for each module; sums wrap around. */
const keyOfModule = (key: Tensor1D, module: string): Tensor1D => tf.add(key, tf.tensor1d([0, hashName(module) | 0], 'int32'));

/**
 * PEFT's matching: a module is targeted when its name is one of the list's or ends with a dot and one of them.
 * @throws InputError `unknown_target_module` naming each that matches nothing
 */
export function targetedModules(modules: string[], targets: ResolvedLora['target_modules']): string[] {
  if (targets === ALL_LINEAR) return modules;
  const matches = (module: string, target: string): boolean => module === target || module.endsWith(`.${target}`);
  const unknown = targets.filter((target) => !modules.some((module) => matches(module, target)));
  if (unknown.length > 0) {
    const existing = [...new Set(modules.map((module) => module.slice(module.lastIndexOf('.') + 1)))];
    throw new InputError('unknown_target_module', `the model has no linear layer called ${unknown.join(', ')}`, {
      param: 'tuning.target_modules',
      hint: `It has ${existing.join(', ')}; ${ALL_LINEAR} takes them all.`,
    });
  }
  return modules.filter((module) => targets.some((target) => matches(module, target)));
}

interface LowRank {
  A: Tensor2D | Variable;
  B: Tensor2D | Variable;
  scaling: number;
  /** seed: [2] int32 */
  dropout?: { rate: number; seed: Tensor1D };
}

/**
 * y = xWᵀ + b + s·((D·x)Aᵀ)Bᵀ, W and b frozen; D zeroes elements with probability p, and the rest's factor 1 / (1 − p) is in s.
 * With U = s·dy·B: dx = dy·W + D·(U·A), dA = Uᵀ(D·x), dB = s·dyᵀ((D·x)Aᵀ). The frozen weight's gradient is never made.
 * @param x [tokens, in]
 * @returns [tokens, out]
 */
function loraLinear(x: Tensor2D, frozen: LinearWeights, lowRank: LowRank): Tensor2D {
  const A = lowRank.A as Tensor2D;
  const B = lowRank.B as Tensor2D;
  const { dropout } = lowRank;
  const s = dropout === undefined ? lowRank.scaling : lowRank.scaling / (1 - dropout.rate);
  return differentiable<Tensor2D>([x, A, B], () => {
    const D = dropout === undefined ? undefined : tf.cast(tf.greaterEqual(statelessUniform(x.shape, dropout.seed), dropout.rate), 'float32');
    const kept = D === undefined ? x : tf.mul(x, D);
    const scaled = tf.mul(tf.matMul(kept, A, false, true), s); // [tokens, r]
    return {
      value: tf.add(plainLinear(x, frozen), tf.matMul(scaled, B, false, true)),
      saved: D === undefined ? [kept, scaled, A, B] : [kept, scaled, A, B, D],
      gradient(dy, [kept, scaled, A, B, D]) {
        const U = tf.mul(tf.matMul(dy, B!), s) as Tensor2D; // [tokens, r]
        const throughA = tf.matMul(U, A as Tensor2D);
        return [
          tf.add(tf.matMul(dy, frozen.W, false, frozen.inputFirst), D === undefined ? throughA : tf.mul(throughA, D)),
          tf.matMul(U, kept as Tensor2D, true, false),
          tf.matMul(dy, scaled as Tensor2D, true, false),
        ];
      },
    };
  });
}
