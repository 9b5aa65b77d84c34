/**
 * Several LoRA adapters over one frozen base, in one pass: each token belongs to one of them. The adapters of a layer are one update whose rank is the sum
 * of theirs, of which each token uses its own adapter's part (as mLoRA, Ye et al. 2024, and LoRAFusion, Zhu et al. 2025, batch jobs over one base).
 */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { peftName } from '../../../src/formats/tuning/lora.ts';
import type { ResolvedLora } from '../../../src/formats/tuning/lora-fields.ts';
import { checkLora } from '../../../src/formats/tuning/lora-refusals.ts';
import type { Parameters } from '../model/parameters.ts';
import { differentiable } from '../tensorflow/differentiable.ts';
import { type Owners, ownKernels, ownOuterKernel, ownReductionKernel, ownUpdateKernel } from '../tensorflow/native.ts';
import { within } from '../tensorflow/scope.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { initialMatrices } from './lora-initial.ts';
import { expanded } from './low-rank.ts';
import { byName, plainParameters, variable } from './trained.ts';

export interface LoraMember {
  /** One that `isPerRow` accepts, without dropout. */
  tuning: ResolvedLora;
  seed: number;
}

export interface JoinedAdapters {
  /** What each member trains, sorted by name. */
  trainable: readonly ReadonlyMap<string, Variable>[];
  /** @param owners [tokens] int32, the member that each token belongs to; of any other number: none */
  parameters(owners: Tensor1D): Parameters;
}

/** One member's part of a layer's update. */
interface Pair {
  member: number;
  A: Variable;
  B: Variable;
  rank: number;
  scaling: number;
}

/** @throws Refusal for a tuning that does not fit the base */
export function joinAdapters(weights: ReadonlyMap<string, Tensor>, config: ModelConfig, members: readonly LoraMember[]): JoinedAdapters {
  const pairs = new Map<string, Pair[]>();
  const trainable = members.map(({ tuning, seed }, member) => {
    const own = new Map<string, Variable>();
    for (const [module, layer] of checkLora(config, tuning)) {
      const initial = initialMatrices(module, layer, { tuning, seed });
      const [A, B] = [variable(initial.A), variable(initial.B)];
      own.set(peftName(module, 'A', layer.kind), A).set(peftName(module, 'B', layer.kind), B);
      pairs.set(module, [...(pairs.get(module) ?? []), { member, A, B, rank: layer.r, scaling: layer.scaling }]);
    }
    return byName(own);
  });
  const plain = plainParameters(weights, config);
  return {
    trainable,
    parameters(owners) {
      const linears = (modules: readonly string[], x: Tensor2D): Tensor2D[] => {
        const frozen = plain.linears(modules, x);
        const tuned = modules.filter((module) => pairs.has(module));
        if (tuned.length === 0) return frozen;
        const ofModules = tuned.map((module) => pairs.get(module)!);
        const reductions = within(modules[0]!, () => reducedOf(x, ofModules, owners));
        return modules.map((module, index) => {
          const at = tuned.indexOf(module);
          if (at === -1) return frozen[index]!;
          const own = ownKernels() ? { ofTokens: owners, ofColumns: columnsOf(ofModules[at]!, ({ member }) => member) } : undefined;
          return within(module, () => expanded(frozen[index]!, reductions[at]!, joinedB(ofModules[at]!), own));
        });
      };
      return { ...plain, linear: (module, x) => linears([module], x)[0]!, linears };
    },
  };
}

/** @returns a number for each column of the pairs' joined update */
const columnsOf = (pairs: readonly Pair[], of: (pair: Pair) => number): number[] =>
  pairs.flatMap((pair) => Array.from({ length: pair.rank }, () => of(pair)));

/** [out, all ranks] */
const joinedB = (pairs: readonly Pair[]): Tensor2D =>
  pairs.length === 1
    ? (pairs[0]!.B as unknown as Tensor2D)
    : tf.concat(
        pairs.map(({ B }) => B as unknown as Tensor2D),
        1,
      );

/**
 * H = s·xAᵀ where the token is the column's, and 0 elsewhere. dx = (s·dH)·A and dA = (s·dH)ᵀx of the same tokens.
 * @param x       [tokens, in]
 * @param modules the pairs of each layer
 * @param owners  [tokens]
 * @returns [tokens, all ranks of the layer] for each
 */
function reducedOf(x: Tensor2D, modules: readonly (readonly Pair[])[], owners: Tensor1D): Tensor2D[] {
  const pairs = modules.flat();
  const own: Owners = { ofTokens: owners, ofColumns: columnsOf(pairs, ({ member }) => member) };
  const scalings = columnsOf(pairs, ({ scaling }) => scaling);
  const scaled = (H: Tensor2D): Tensor2D => tf.mul(H, tf.tensor2d(scalings, [1, scalings.length]));
  const A = pairs.length === 1 ? (pairs[0]!.A as unknown as Tensor2D) : tf.concat(pairs.map((pair) => pair.A as unknown as Tensor2D));
  const H = differentiable<Tensor2D>([x, A], () => ({
    value: scaled(ownKernels() ? ownReductionKernel(x, A, own) : chosen(tf.matMul(x, A, false, true), own)),
    saved: [x, A],
    gradient(dH, [x, A]) {
      const ofOwn = scaled(ownKernels() ? dH : chosen(dH, own));
      return ownKernels()
        ? [ownUpdateKernel(ofOwn, A as Tensor2D, { ...own, transposed: false }), ownOuterKernel(ofOwn, x as Tensor2D, own)]
        : [tf.matMul(ofOwn, A as Tensor2D), tf.matMul(ofOwn, x as Tensor2D, true, false)];
    },
  }));
  const ranks = modules.map((ofModule) => ofModule.reduce((sum, { rank }) => sum + rank, 0));
  return modules.length === 1 ? [H] : tf.split(H, ranks, 1);
}

/** @returns H with 0 in others' columns: chosen rather than multiplied by 0, so that one member's infinity is no other's NaN */
function chosen(H: Tensor2D, { ofTokens, ofColumns }: Owners): Tensor2D {
  const isOwn = tf.equal(tf.reshape(ofTokens, [-1, 1]), tf.tensor2d([...ofColumns], [1, ofColumns.length], 'int32'));
  return tf.where(isOwn, H, tf.zerosLike(H));
}
