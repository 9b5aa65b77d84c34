/** LoRA's initial values, as PEFT's `init_lora_weights` names them. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { beginName, magnitudeName, peftName } from '../../../src/formats/tuning/lora.ts';
import type { ResolvedLora } from '../../../src/formats/tuning/lora-fields.ts';
import { fullRank, type LoraLayer } from '../../../src/formats/tuning/lora-layers.ts';
import { isDecomposed } from '../../../src/formats/tuning/lora-refusals.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { firstDirections, largestDirections, orthonormal } from './decomposition.ts';
import { normal, uniform } from './random.ts';
import type { ReadWeight, Trained } from './trained.ts';

interface Choices {
  tuning: ResolvedLora;
  seed: number;
}

/**
 * @returns A [r, in] and B [out, r], r of all experts together, owned by the caller; zeros where `valuesOfBase` has the values
 */
export function initialMatrices(module: string, layer: LoraLayer, { tuning, seed }: Choices): { A: Tensor2D; B: Tensor2D } {
  const { kind, out, in: input } = layer;
  const r = fullRank(layer);
  const { init_lora_weights: initial = true } = tuning;
  const [nameOfA, nameOfB] = [peftName(module, 'A', kind), peftName(module, 'B', kind)];
  const zeros = (shape: [number, number]): Tensor2D => tf.zeros(shape);
  // As nn.Embedding begins, with the roles of A and B exchanged.
  if (kind === 'embedding') return { A: zeros([r, input]), B: tf.tensor2d(normal(out * r, { seed, name: nameOfB }), [out, r]) };
  if (isDecomposed(tuning)) return { A: zeros([r, input]), B: zeros([out, r]) };
  if (initial === 'gaussian') {
    const A = normal(r * input, { seed, name: nameOfA }).map((value) => value / layer.r);
    return { A: tf.tensor2d(A, [r, input]), B: zeros([out, r]) };
  }
  if (initial === 'orthogonal') return orthogonalMatrices({ out, in: input, r }, { seed, module });
  // Kaiming-uniform with a = √5, nn.Linear's own: within ±1/√in.
  const linear = (rows: number, columns: number, name: string): Tensor2D =>
    tf.tensor2d(uniform(rows * columns, { bound: 1 / Math.sqrt(columns), seed, name }), [rows, columns]);
  return { A: linear(r, input, nameOfA), B: initial === false ? linear(out, r, nameOfB) : zeros([out, r]) };
}

/** Neither is zero, and yet B·A is: each is spanned by half of the rows of one orthogonal matrix. */
function orthogonalMatrices({ out, in: input, r }: Pick<LoraLayer, 'out' | 'in' | 'r'>, { seed, module }: { seed: number; module: string }) {
  const half = r / 2;
  const random = (rows: number, columns: number, part: string): Tensor2D =>
    tf.tensor2d(normal(rows * columns, { seed, name: `${module}/${part}` }), [rows, columns]);
  return tf.tidy(() => {
    const Q = orthonormal(random(r, r, 'Q'));
    const [odd, even] = tf.unstack(tf.transpose(tf.reshape(Q, [half, 2, r]), [1, 0, 2])) as [Tensor2D, Tensor2D]; // [r / 2, r] each
    const scaled = (X: Tensor2D, rows: Tensor2D): Tensor2D => tf.div(tf.matMul(X, rows), 10);
    return { A: tf.transpose(scaled(random(input, half, 'A'), odd)), B: scaled(random(out, half, 'B'), even) };
  });
}

/** What depends on the base's weights: matrices taken from them, and DoRA's magnitudes. */
export function valuesOfBase(
  layers: ReadonlyMap<string, LoraLayer>,
  { config, tuning, seed }: Choices & { config: ModelConfig },
): NonNullable<Trained['initial']> {
  const names = new Map<string, (read: ReadWeight) => Float32Array>();
  const taken = new Map<string, { A: Float32Array; B: Float32Array; uses: number }>();
  const weightOf = (module: string, { out, in: input }: LoraLayer, read: ReadWeight): Tensor2D => {
    const values = read(`${module}.weight`);
    return config.inputFirst ? tf.transpose(tf.tensor2d(values, [input, out])) : tf.tensor2d(values, [out, input]);
  };
  for (const [module, layer] of layers) {
    if (tuning.use_dora === true) {
      names.set(magnitudeName(module), (read) => {
        const norms = tf.tidy(() => {
          const { A, B } = initialMatrices(module, layer, { tuning, seed });
          return tf.norm(tf.add(weightOf(module, layer, read), tf.mul(tf.matMul(B, A), layer.scaling)), 'euclidean', 1);
        });
        return valuesOf(norms);
      });
    }
    if (!isDecomposed(tuning)) continue;
    for (const matrix of ['A', 'B'] as const) {
      const value = (read: ReadWeight): Float32Array => {
        const found = taken.get(module) ?? { ...takenFrom(weightOf(module, layer, read), { layer, tuning, seed, module }), uses: 4 };
        taken.set(module, found);
        found.uses -= 1; // A and B, and what they are measured from
        if (found.uses === 0) taken.delete(module);
        return found[matrix];
      };
      names.set(peftName(module, matrix), value).set(beginName(module, matrix), value);
    }
  }
  return (name, read) => names.get(name)?.(read) ?? null;
}

/** @param W [out, in], which this disposes of */
function takenFrom(
  W: Tensor2D,
  { layer: { r, scaling }, tuning, seed, module }: Choices & { layer: LoraLayer; module: string },
): { A: Float32Array; B: Float32Array } {
  const [A, B] = tf.tidy(() => {
    // OLoRA (Büyükakyüz 2024): the first r columns of Q and rows of R, W = Q·R.
    if (tuning.init_lora_weights === 'olora') {
      const Q = firstDirections(W, r);
      return [tf.matMul(Q, W, true, false), Q];
    }
    // PiSSA (Meng et al. 2024): A = √(S / s)·Vᵀ and B = U·√(S / s) of the r largest singular values S.
    const iterations = /^pissa_niter_(\d+)$/.exec(String(tuning.init_lora_weights))?.[1];
    const { U, S, V } = largestDirections(W, r, { iterations: iterations === undefined ? null : Number(iterations), seed, name: module });
    const root = tf.sqrt(tf.div(S, scaling)); // [r]
    return [tf.transpose(tf.mul(V, root)), tf.mul(U, root)];
  }) as [Tensor2D, Tensor2D];
  W.dispose();
  return { A: valuesOf(A), B: valuesOf(B) };
}

/** @param tensor which this disposes of */
function valuesOf(tensor: { dataSync(): unknown; dispose(): void }): Float32Array {
  const values = tensor.dataSync() as Float32Array;
  tensor.dispose();
  return values;
}
