/**
 * Ordinary tfjs code, recorded as a TensorFlow graph instead of computed. Every kernel of tfjs-node ends in its binding's `executeOp`: while
 * recording, that adds a node whose shape is inferred. So recording takes an instant and no memory, and what is recorded is what eager code does.
 *
 * A size that differs from run to run is recorded as a prime that divides none of the model's own sizes. Wherever an operand that shapes a result
 * (of Reshape, Slice, …) has a multiple of it, that number is computed from the fed size instead. One recording then serves every batch.
 */

import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { type Binding, backend, type OpAttribute, type TensorMetadata } from '../../tensorflow/backend.ts';
import { ownKernels } from '../../tensorflow/native.ts';
import { type Tensor, tf } from '../../tensorflow/tensorflow.ts';
import { type Attribute, type Call, constantIntegers, DType, Graph, type Output } from './graph.ts';
import { cast, exact, typed } from './mixed-precision.ts';
import { lookUp } from './operations.ts';
import { asThinProduct, type ThinProduct } from './thin-products.ts';

/** Real tensors' ids count up from 0 and never come so far. */
const FIRST_RECORDED_ID = 1 << 30;

export class Recorder {
  readonly graph = new Graph();
  /** What the code marked as worth keeping where all else is computed again. */
  readonly checkpoints = new Set<Output>();
  readonly #sizes = new Map<number, Output>();
  readonly #outputs = new Map<number, Output>();
  readonly #kept: Tensor[] = [];
  readonly #precision: Precision;
  #nextId = FIRST_RECORDED_ID;

  /** @param precision of products */
  constructor(precision: Precision = 'f32') {
    this.#precision = precision;
  }

  /**
   * A size that is fed.
   * @param stand the prime it is recorded as
   */
  size(name: string, stand: number): Output {
    const output = this.graph.placeholder(name, DType.int32, []);
    this.#sizes.set(stand, output);
    return output;
  }

  /** What a recorded size is where these are fed. */
  actualSize(recorded: number, fed: Readonly<Record<string, number>>): number {
    let actual = recorded;
    for (const [stand, { node }] of this.#sizes)
      for (let rest = recorded; rest !== 0 && rest % stand === 0; rest /= stand) actual = (actual / stand) * fed[node.name]!;
    return actual;
  }

  /** A tensor that is fed; sizes that vary stand in its shape as their primes. */
  feed(name: string, dtype: 'float32' | 'int32', shape: number[]): Tensor {
    const open = shape.map((size) => (this.#varies(size) ? -1 : size));
    return this.tensor(this.graph.placeholder(name, DType[dtype], open, shape));
  }

  /** The tensor that stands for an output; the recorder's own. */
  tensor(output: Output): Tensor {
    const tensor = tf.keep(backend.createOutputTensor(this.#metadata(output)));
    this.#kept.push(tensor);
    return tensor;
  }

  /** From now on an existing tensor stands for an output: a variable whose value lives in the session. */
  bind(tensor: Tensor, output: Output): void {
    this.#outputs.set(backend.getInputTensorIds([tensor])[0]!, output);
  }

  /** @returns it in f32 where it is a number of bf16. @throws Error when the tensor was neither recorded nor bound */
  outputOf(tensor: Tensor): Output {
    return exact(this.graph, this.#found(backend.getInputTensorIds([tensor])[0]!));
  }

  /**
   * Runs the code; nothing in it is computed, and nothing can be read.
   * @returns what the code returns; its recorded tensors mean something to `outputOf` alone
   */
  record<T>(code: () => T): T {
    const real = backend.binding;
    backend.binding = this.#recording(real);
    try {
      return code();
    } finally {
      backend.binding = real;
    }
  }

  /** The graph stays. */
  dispose(): void {
    this.record(() => tf.dispose(this.#kept.splice(0)));
  }

  #recording(real: Binding): Binding {
    // The native binding's properties cannot be replaced, so another object stands before it.
    const stand = Object.create(real) as Binding;
    const define = <K extends keyof Binding>(name: K, value: Binding[K]) => Object.defineProperty(stand, name, { value });
    define('createTensor', (shape, dtype, values) => {
      const numbers = values as ArrayLike<number>;
      if (shape.some((size) => this.#varies(size))) return this.#metadata(this.#filled(shape, dtype, numbers)).id;
      return this.#metadata(this.graph.constant({ dtype, shape, bytes: bytesOf(dtype, numbers) })).id;
    });
    define('deleteTensor', (id) => {
      if (id < FIRST_RECORDED_ID) real.deleteTensor(id);
    });
    define('tensorDataSync', (id) => {
      if (id >= FIRST_RECORDED_ID) throw new Error('a tensor is read while its computation is being recorded');
      return real.tensorDataSync(id);
    });
    define('recording', true);
    define('executeOp', (name, given, ids, count) => {
      if (name === 'Checkpoint') return [this.#metadata(this.#checkpoint(this.#found(ids[0]!)))];
      if (name === 'After') return [this.#metadata(this.#ordered(this.#found(ids[0]!), this.#found(ids[1]!)))];
      const asked = Object.fromEntries(given.map((attribute) => [attribute.name, asAttribute(real, attribute)]));
      return this.#call({ op: name, attributes: asked, inputs: ids.map((id) => this.#found(id)) }, count).map((output) => this.#metadata(output));
    });
    return stand;
  }

  #call(call: Call, results: number): Output[] {
    const thin = this.#thin(call);
    if (thin !== null) return this.graph.add(thin.op, thin.attributes, thin.inputs, [thin.result]).outputs;
    const { results: rule, shapedBy } = lookUp(call.op);
    if (rule === undefined)
      throw new Error(`the operation ${call.op} cannot be recorded: its row in recording/operations.ts has no rule for results`);
    const { attributes, inputs } = typed(this.graph, call, this.#precision);
    const inferred = rule(inputs, attributes, results);
    const varying = inputs.map((input, index) => (shapedBy?.includes(index) ? this.#withSizes(input) : input));
    return this.graph.add(call.op, attributes, varying, inferred).outputs;
  }

  #thin(call: Call): ThinProduct | null {
    if (!ownKernels()) return null;
    return asThinProduct(call, {
      resultType: this.#precision === 'bf16' ? DType.bfloat16 : DType.float32,
      cast: (output, dtype) => cast(this.graph, output, dtype),
      varies: (size) => this.#varies(size),
    });
  }

  #checkpoint(x: Output): Output {
    const type: Record<string, Attribute> = { T: { kind: 'type', value: x.dtype } };
    const { outputs } = this.graph.add('Identity', type, [x], [x]);
    this.checkpoints.add(outputs[0]!);
    return outputs[0]!;
  }

  #ordered(x: Output, earlier: Output): Output {
    const type: Record<string, Attribute> = { T: { kind: 'type', value: x.dtype } };
    return this.graph.add('Identity', type, [x], [x], { after: [earlier.node], stateful: true }).outputs[0]!;
  }

  #metadata(output: Output): TensorMetadata {
    const id = this.#nextId++;
    this.#outputs.set(id, output);
    return { id, shape: [...output.shape], dtype: output.dtype === DType.bfloat16 ? DType.float32 : output.dtype };
  }

  #found(id: number): Output {
    const output = this.#outputs.get(id);
    if (output === undefined) throw new Error('a tensor from outside the recording is used in it: bind it to a variable first');
    return output;
  }

  /** Ones and zeros, as gradients begin with. @throws Error for other constants of a size that varies */
  #filled(shape: readonly number[], dtype: number, values: ArrayLike<number>): Output {
    const [first = 0] = Array.prototype.slice.call(values, 0, 1) as number[];
    if (!Array.prototype.every.call(values, (value) => value === first))
      throw new Error(`a constant of shape [${shape}] has a size that varies from run to run`);
    const value = this.graph.constant({ dtype, shape: [], bytes: bytesOf(dtype, [first]) });
    const types: Record<string, Attribute> = { T: { kind: 'type', value: dtype }, index_type: { kind: 'type', value: DType.int32 } };
    return this.graph.add('Fill', types, [this.#withSizes(this.graph.integers(shape)), value], [{ dtype, shape }]).outputs[0]!;
  }

  #varies(size: number): boolean {
    return [...this.#sizes.keys()].some((stand) => size !== 0 && size % stand === 0);
  }

  /** A shape in which the primes are the sizes that they stand for. */
  #withSizes(operand: Output): Output {
    const values = constantIntegers(operand);
    if (values === null || !values.some((value) => this.#varies(value))) return operand;
    const parts = values.map((value) => this.#product(value));
    if (operand.shape.length === 0) return parts[0]!;
    const attributes: Record<string, Attribute> = {
      N: { kind: 'int', value: parts.length },
      T: { kind: 'type', value: DType.int32 },
      axis: { kind: 'int', value: 0 },
    };
    return this.graph.add('Pack', attributes, parts, [operand]).outputs[0]!;
  }

  #product(value: number): Output {
    let rest = value;
    let product: Output | null = null;
    const times = (factor: Output) => {
      const type: Record<string, Attribute> = { T: { kind: 'type', value: DType.int32 } };
      product = product === null ? factor : this.graph.add('Mul', type, [product, factor], [{ dtype: DType.int32, shape: [] }]).outputs[0]!;
    };
    for (const [stand, size] of this.#sizes) {
      for (; rest !== 0 && rest % stand === 0; rest /= stand) times(size);
    }
    if (rest !== 1 || product === null) times(this.graph.integers([rest], []));
    return product!;
  }
}

function asAttribute(binding: Binding, { name, type, value }: OpAttribute): Attribute {
  switch (type) {
    case binding.TF_ATTR_TYPE:
      return { kind: 'type', value: value as number };
    case binding.TF_ATTR_INT:
      return { kind: 'int', value: value as number };
    case binding.TF_ATTR_FLOAT:
      return { kind: 'float', value: value as number };
    case binding.TF_ATTR_BOOL:
      return { kind: 'bool', value: value as boolean };
    case binding.TF_ATTR_STRING:
      return { kind: 'string', value: value as string };
    default:
      throw new Error(`the attribute ${name} is of a kind that cannot be recorded`);
  }
}

function bytesOf(dtype: number, values: ArrayLike<number>): Uint8Array {
  if (dtype === DType.float32) return new Uint8Array(Float32Array.from(values).buffer);
  if (dtype === DType.int32) return new Uint8Array(Int32Array.from(values).buffer);
  if (dtype === DType.bool) return Uint8Array.from(values);
  throw new Error(`a constant of TensorFlow's type ${dtype} cannot be recorded`);
}
