/** TensorFlow kernels that tfjs has no function for, called through its backend. The gradient tape misses them: call them inside `differentiable`. */
import { backend, type OpAttribute } from './backend.ts';
import { type Tensor, type Tensor1D, type Tensor2D, type Tensor3D, tf } from './tensorflow.ts';

const { TF_ATTR_TYPE, TF_ATTR_INT, TF_ATTR_BOOL, TF_FLOAT, TF_INT32 } = backend.binding;
const float = (name: string): OpAttribute => ({ name, type: TF_ATTR_TYPE, value: TF_FLOAT });
const int = (name: string): OpAttribute => ({ name, type: TF_ATTR_TYPE, value: TF_INT32 });

/** Whether the code is being recorded into a graph for a CPU, for which the engine has kernels that a GPU does not have (kernels/). */
export const ownKernels = (): boolean => backend.binding.recording !== undefined && !backend.isUsingGpuDevice;

/** Whether the code is being recorded into a graph. */
export const isRecorded = (): boolean => backend.binding.recording !== undefined;

let foundInstructionSet: string | undefined;
/** @returns the instruction set that the engine's own kernels run with: `baseline`, `avx2`, `avx512`, `avx512_bf16` or `amx` */
export const instructionSet = (): string =>
  (foundInstructionSet ??= tf.tidy(() => backend.executeSingleOutput('GraftInstructionSet', [], []).dataSync<'string'>()[0]!));

const GATHER = [float('Tparams'), int('Tindices'), int('Taxis')];
const ROLL = [float('T'), int('Tshift'), int('Taxis')];
const SCATTER = [float('T'), int('Tindices')];
const STATELESS_UNIFORM = [float('dtype'), int('T'), int('Tseed')];

/**
 * Splits rows into parts whose sizes are given by a tensor.
 * @param x     [n, …]
 * @param sizes [count] int32, which sum to n; a part may have size 0
 */
export function splitRows<T extends Tensor>(x: T, sizes: Tensor1D): T[] {
  const [count] = sizes.shape;
  const attributes = [{ name: 'num_split', type: TF_ATTR_INT, value: count }, float('T'), int('Tlen')].map((attribute) =>
    attribute.name === 'T' && x.dtype === 'int32' ? int('T') : attribute,
  );
  return tf.tidy(() => backend.executeMultipleOutputs('SplitV', attributes, [x, sizes, tf.scalar(0, 'int32')], count) as T[]);
}

/** @returns x, which a graph uses only once it has computed `earlier`: what depends on x is then never in memory together with what came before */
export function after<T extends Tensor>(x: T, earlier: Tensor | undefined): T {
  if (earlier === undefined || backend.binding.recording === undefined) return tf.clone(x);
  return backend.executeSingleOutput('After', [], [x, earlier]) as T;
}

/** @returns x, which a graph with gradient checkpointing keeps for its backward pass */
export function checkpoint<T extends Tensor>(x: T): T {
  return backend.binding.recording === undefined ? tf.clone(x) : (backend.executeSingleOutput('Checkpoint', [], [x]) as T);
}

/**
 * Rows of a table. tf.gather first reads the ids back to check them; here the kernel checks them.
 * @param ids [n] int32
 * @throws Error if an id has no row (on a CPU; a GPU gives zeros)
 */
export function gatherRows(table: Tensor2D, ids: Tensor1D): Tensor2D {
  return tf.tidy(() => backend.executeSingleOutput('GatherV2', GATHER, [table, ids, tf.scalar(0, 'int32')]) as Tensor2D);
}

/** @returns x with an axis rotated by `shift`: elements shifted off the end return at the front */
export function rollAxis<T extends Tensor>(x: T, { shift, axis }: { shift: number; axis: number }): T {
  return tf.tidy(() => backend.executeSingleOutput('Roll', ROLL, [x, tf.scalar(shift, 'int32'), tf.scalar(axis, 'int32')]) as T);
}

export const rollLastAxis = <T extends Tensor>(x: T, shift: number): T => rollAxis(x, { shift, axis: x.rank - 1 });

/**
 * One element of each row.
 * @param x       [n, columns]
 * @param columns [n] int32
 * @returns       [n]
 */
export const elementsAt = (x: Tensor2D, columns: Tensor1D): Tensor1D => tf.tidy(() => tf.reshape(columnsAt(x, tf.reshape(columns, [-1, 1])), [-1]));

/**
 * Some elements of each row.
 * @param x       [n, columns]
 * @param columns [n, k] int32
 * @returns       [n, k]
 */
export function columnsAt(x: Tensor2D, columns: Tensor2D): Tensor2D {
  const attributes = [...GATHER, { name: 'batch_dims', type: TF_ATTR_INT, value: 1 }];
  return tf.tidy(() => backend.executeSingleOutput('GatherV2', attributes, [x, columns, tf.scalar(1, 'int32')]) as Tensor2D);
}

/**
 * x less some values.
 * @param x      [n, columns]
 * @param places [n, k, 2] int32, a row and a column for each value
 * @param values [n, k]; those of one place are all subtracted
 */
export const subtractAt = (x: Tensor2D, places: Tensor3D, values: Tensor2D): Tensor2D =>
  backend.executeSingleOutput('TensorScatterSub', SCATTER, [x, places, values]) as Tensor2D;

/**
 * x less some rows, in the memory of x if nothing else reads it.
 * @param x      [n, columns]
 * @param rows   [k] int32
 * @param values [k, columns]; those of one row are all subtracted
 */
export const subtractRows = (x: Tensor2D, rows: Tensor1D, values: Tensor2D): Tensor2D =>
  tf.tidy(() => backend.executeSingleOutput('TensorScatterSub', SCATTER, [x, tf.reshape(rows, [-1, 1]), values]) as Tensor2D);

/**
 * sum + aᵀ·b (kernels/outer-sums.cc), in the memory of the sum if nothing else reads it. Without tokens nothing is computed.
 * @param a, b [tokens, p] and [tokens, q]
 * @param sum  [p, q]; default: zeros
 */
export function addedOuter(a: Tensor2D, b: Tensor2D, sum?: Tensor2D): Tensor2D {
  if (!isRecorded()) {
    const outer: Tensor2D = tf.matMul(a, b, true, false);
    return sum === undefined ? outer : tf.add(sum, outer);
  }
  const sums = sum === undefined ? [] : [sum];
  return backend.executeSingleOutput(
    'GraftAddOuter',
    [float('T'), { name: 'N', type: TF_ATTR_INT, value: sums.length }],
    [a, b, ...sums],
  ) as Tensor2D;
}

/**
 * Numbers in [0, 1) that depend only on the seed and the shape.
 * @param seed [2] int32
 */
export function statelessUniform(shape: number[], seed: Tensor1D): Tensor {
  return tf.tidy(() => backend.executeSingleOutput('StatelessRandomUniform', STATELESS_UNIFORM, [tf.tensor1d(shape, 'int32'), seed]));
}

/** The attribute of kernels with a cache for each layer. */
export const ofLayer = (layer: number): OpAttribute[] => [{ name: 'layer', type: TF_ATTR_INT, value: layer }];

/**
 * x·Wᵀ for few rows, which are each computed the same whatever rows are beside them (kernels/row-products.cc); only if `ownKernels()`.
 * @param x        [tokens, in]
 * @param matrices [out, in] each, in f32 or bf16
 * @param options.rounds whether x may be rounded to bf16 for those in bf16, where the processor is faster then
 * @returns [tokens, out] for each
 */
export function rowProductsKernel(x: Tensor2D, matrices: readonly Tensor2D[], { rounds }: { rounds: boolean }): Tensor2D[] {
  const attributes = [
    { name: 'N', type: TF_ATTR_INT, value: matrices.length },
    { name: 'rounds', type: TF_ATTR_BOOL, value: rounds },
  ];
  return backend.executeMultipleOutputs('GraftRowProducts', attributes, [x, ...matrices], matrices.length) as Tensor2D[];
}

/**
 * y + s·(x·Aᵀ)·Bᵀ with the A and B of each row's adapter (kernels/adapter-rows.cc); only if `ownKernels()`.
 * @param x        [tokens, in]
 * @param adapters [tokens] int32, the number of each row's adapter, or -1
 * @param ys       [tokens, out] of each layer
 * @param firstModule number of the first layer; the others follow it
 */
export function adapterRowsKernel(x: Tensor2D, adapters: Tensor1D, ys: readonly Tensor2D[], firstModule: number): Tensor2D[] {
  const attributes = [
    { name: 'N', type: TF_ATTR_INT, value: ys.length },
    { name: 'first_module', type: TF_ATTR_INT, value: firstModule },
  ];
  return backend.executeMultipleOutputs('GraftAdapterRows', attributes, [x, adapters, ...ys], ys.length) as Tensor2D[];
}

/** Largest number of columns, the ranks of several layers together, for which the kernels for products with narrow matrices are faster. */
export const LARGEST_THIN_RANK = 64;

/** To whom tokens and the columns of a rank belong. A token is multiplied with its owner's columns alone, and results in all others are 0. */
export interface Owners {
  /** [tokens] int32 */
  ofTokens: Tensor1D;
  ofColumns: readonly number[];
}

const ownerInputs = ({ ofTokens, ofColumns }: Owners): Tensor[] => [ofTokens, tf.tensor1d([...ofColumns], 'int32')];

const ownProduct = (form: string, matrices: readonly Tensor2D[], transposed: boolean, owners: Owners): Tensor2D => {
  const attributes = [{ name: 'transposed', type: TF_ATTR_BOOL, value: transposed }];
  return tf.tidy(() => backend.executeSingleOutput(form, attributes, [...matrices, ...ownerInputs(owners)]) as Tensor2D);
};

/** x·Aᵀ (kernels/thin-products.cc); only if `ownKernels()`, as the others. @param x [tokens, in] @param A [r, in] @returns [tokens, r] */
export const ownReductionKernel = (x: Tensor2D, A: Tensor2D, owners: Owners): Tensor2D => ownProduct('GraftRankReduce', [x, A], false, owners);

/** H·T, or H·Tᵀ. @param H [tokens, r] @param T [r, out], or [out, r] if `transposed` @returns [tokens, out] */
export const ownUpdateKernel = (H: Tensor2D, T: Tensor2D, { transposed, ...owners }: Owners & { transposed: boolean }): Tensor2D =>
  ownProduct('GraftRankUpdate', [H, T], transposed, owners);

/** Hᵀx. @param H [tokens, r] @param x [tokens, in] @returns [r, in] */
export const ownOuterKernel = (H: Tensor2D, x: Tensor2D, owners: Owners): Tensor2D => ownProduct('GraftRankOuter', [H, x], false, owners);

/**
 * dy·B and dyᵀH in one pass over dy (kernels/thin-products.cc); only if `ownKernels()`.
 * @param dy [tokens, out]
 * @param H  [tokens, r], r ≤ LARGEST_THIN_RANK where columns have no owners
 * @param B  [out, r]
 * @returns  [tokens, r] and [out, r]
 */
export function expansionGradientKernel(dy: Tensor2D, H: Tensor2D, B: Tensor2D, owners?: Owners): [Tensor2D, Tensor2D] {
  const inputs = owners === undefined ? [] : ownerInputs(owners);
  const attributes = [float('T'), { name: 'N', type: TF_ATTR_INT, value: inputs.length }];
  return tf.tidy(() => backend.executeMultipleOutputs('GraftExpansionGradient', attributes, [dy, H, B, ...inputs], 2) as [Tensor2D, Tensor2D]);
}

/**
 * Of each choice, its row of x times its expert's W (kernels/expert-products.cc, kernels/gpu/grouped-products.cc), only while recording.
 * @param x       [rows, in]
 * @param W       [experts, in, out], or [experts, out, in] if `transposed`
 * @param experts [choices] int32; row r has the choices r·k to r·k + k − 1
 * @returns       [choices, out]
 */
export const expertProductsKernel = (x: Tensor2D, W: Tensor3D, experts: Tensor1D, { transposed }: { transposed: boolean }): Tensor2D =>
  backend.executeSingleOutput(
    'GraftExpertProducts',
    [float('T'), float('Tw'), { name: 'transposed', type: TF_ATTR_BOOL, value: transposed }],
    [x, W, experts],
  ) as Tensor2D;

/**
 * Of each expert, the sum of aᵀ·b over its choices, only while recording.
 * @param a, b    [rows, p] and [rows, q], each with a row for each choice or for k of them
 * @param experts [choices] int32
 * @returns       [count, p, q]
 */
export const expertOuterKernel = (a: Tensor2D, b: Tensor2D, experts: Tensor1D, { count }: { count: number }): Tensor3D =>
  backend.executeSingleOutput('GraftExpertOuter', [float('T'), { name: 'count', type: TF_ATTR_INT, value: count }], [a, b, experts]) as Tensor3D;
