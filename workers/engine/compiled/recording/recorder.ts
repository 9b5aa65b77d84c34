/**
 * Records ordinary tfjs code as a TensorFlow graph instead of computing it. Every kernel of tfjs-node ends in its binding's `executeOp`, which adds
 * a node with inferred shapes while a recording runs. Recording therefore takes an instant and no memory, and the graph does what eager code does.
 *
 * A size that varies from run to run is recorded as a placeholder, a prime that divides none of the model's own sizes. Where an operand holds sizes
 * of the result (Reshape's, Slice's, …), the graph computes each multiple of the prime from the size that is fed. One recording then serves every
 * batch.
 */

import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { type Binding, backend, type OpAttribute, type TensorMetadata } from '../../tensorflow/backend.ts';
import { instructionSet, ownKernels } from '../../tensorflow/native.ts';
import { type Tensor, tf } from '../../tensorflow/tensorflow.ts';
import { type Attribute, type Call, constantIntegers, DType, Graph, type Output } from './graph.ts';
import { asHeldProduct, productType } from './held-products.ts';
import { cast, exact, typed } from './mixed-precision.ts';
import { lookUp } from './operations.ts';
import { asThinProduct, type ThinProduct } from './thin-products.ts';

/** Ids of real tensors count up from 0 and never get this far. */
const FIRST_RECORDED_ID = 1 << 30;

export class Recorder {
  readonly graph = new Graph();
  /** What the code marked with `checkpoint`: the backward pass keeps it and computes the rest again. */
  readonly checkpoints = new Set<Output>();
  /** The sizes that are fed, by their placeholders. */
  readonly #sizes = new Map<number, Output>();
  readonly #outputs = new Map<number, Output>();
  readonly #kept: Tensor[] = [];
  readonly #precision: Precision;
  #nextId = FIRST_RECORDED_ID;
  readonly #hasMatrixUnit = instructionSet() === 'amx';

  /** @param precision of products */
  constructor(precision: Precision = 'f32') {
    this.#precision = precision;
  }

  /**
   * Declares a size that is fed.
   * @param prime its placeholder in recorded shapes
   */
  size(name: string, prime: number): Output {
    const output = this.graph.placeholder(name, DType.int32, []);
    this.#sizes.set(prime, output);
    return output;
  }

  /** @returns the size for which `recorded` is the placeholder, when these sizes are fed */
  actualSize(recorded: number, fed: Readonly<Record<string, number>>): number {
    let actual = recorded;
    for (const [prime, { node }] of this.#sizes)
      for (let rest = recorded; rest !== 0 && rest % prime === 0; rest /= prime) actual = (actual / prime) * fed[node.name]!;
    return actual;
  }

  /** @param shape with the primes of the sizes that vary. @returns a tensor that is fed */
  feed(name: string, dtype: 'float32' | 'int32', shape: number[]): Tensor {
    const open = shape.map((size) => (this.#varies(size) ? -1 : size));
    return this.tensor(this.graph.placeholder(name, DType[dtype], open, shape));
  }

  /** @returns a tensor that code can use as this output; the recorder disposes of it */
  tensor(output: Output): Tensor {
    const tensor = tf.keep(backend.createOutputTensor(this.#metadata(output)));
    this.#kept.push(tensor);
    return tensor;
  }

  /** Makes the code's uses of a tensor uses of an output, as for a variable whose value is in the session. */
  bind(tensor: Tensor, output: Output): void {
    this.#outputs.set(backend.getInputTensorIds([tensor])[0]!, output);
  }

  /** @returns the output of a recorded or bound tensor, cast to f32 if it is in bf16. @throws Error for any other tensor */
  outputOf(tensor: Tensor): Output {
    return exact(this.graph, this.#found(backend.getInputTensorIds([tensor])[0]!));
  }

  /**
   * Runs the code without computing anything, so the code cannot read a tensor's values.
   * @returns what the code returns; only `outputOf` can use its tensors
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

  /** Disposes of the recorder's tensors. The graph can still be used. */
  dispose(): void {
    this.record(() => tf.dispose(this.#kept.splice(0)));
  }

  #recording(real: Binding): Binding {
    // The native binding's properties cannot be replaced, so this object inherits from it.
    const recording = Object.create(real) as Binding;
    const define = <K extends keyof Binding>(name: K, value: Binding[K]) => Object.defineProperty(recording, name, { value });
    define('createTensor', (shape, dtype, values) => {
      const numbers = values as ArrayLike<number>;
      if (shape.some((size) => this.#varies(size))) return this.#metadata(this.#filled(shape, dtype, numbers)).id;
      return this.#metadata(this.graph.constant({ dtype, shape, bytes: bytesOf(dtype, numbers) })).id;
    });
    define('deleteTensor', (id) => {
      if (id < FIRST_RECORDED_ID) real.deleteTensor(id);
    });
    define('tensorDataSync', (id) => {
      if (id >= FIRST_RECORDED_ID) throw new Error('a tensor cannot be read while the code that computes it is being recorded');
      return real.tensorDataSync(id);
    });
    define('recording', true);
    define('executeOp', (name, given, ids, count) => {
      if (name === 'Checkpoint') return [this.#metadata(this.#checkpoint(this.#found(ids[0]!)))];
      if (name === 'After') return [this.#metadata(this.#ordered(this.#found(ids[0]!), this.#found(ids[1]!)))];
      const asked = Object.fromEntries(given.map((attribute) => [attribute.name, asAttribute(real, attribute)]));
      return this.#call({ op: name, attributes: asked, inputs: ids.map((id) => this.#found(id)) }, count).map((output) => this.#metadata(output));
    });
    return recording;
  }

  #call(call: Call, results: number): Output[] {
    const special = asHeldProduct(call, this.#products) ?? this.#thin(call);
    if (special !== null) return this.graph.add(special.op, special.attributes, special.inputs, [special.result]).outputs;
    const { results: rule, shapedBy } = lookUp(call.op);
    if (rule === undefined)
      throw new Error(`the operation ${call.op} cannot be recorded: its row in recording/operations.ts has no rule for results`);
    const { attributes, inputs } = typed(this.graph, call, this.#precision);
    const inferred = rule(inputs, attributes, results);
    const varying = inputs.map((input, index) => (shapedBy?.includes(index) ? this.#withSizes(input) : input));
    return this.graph.add(call.op, attributes, varying, inferred).outputs;
  }

  get #products() {
    return {
      resultType: productType(this.#precision),
      hasMatrixUnit: this.#hasMatrixUnit,
      cast: (output: Output, dtype: number) => cast(this.graph, output, dtype),
    };
  }

  #thin(call: Call): ThinProduct | null {
    if (!ownKernels()) return null;
    return asThinProduct(call, { ...this.#products, varies: (size) => this.#varies(size) });
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
    if (output === undefined) throw new Error('a tensor from outside the recording is used inside it: bind it to an output first');
    return output;
  }

  /** A constant of a size that varies, such as the ones and zeros that gradients begin with. @throws Error if its elements differ */
  #filled(shape: readonly number[], dtype: number, values: ArrayLike<number>): Output {
    const [first = 0] = Array.prototype.slice.call(values, 0, 1) as number[];
    if (!Array.prototype.every.call(values, (value) => value === first))
      throw new Error(`a constant of shape [${shape}] has a size that varies from run to run, so all its elements must be equal`);
    const value = this.graph.constant({ dtype, shape: [], bytes: bytesOf(dtype, [first]) });
    const types: Record<string, Attribute> = { T: { kind: 'type', value: dtype }, index_type: { kind: 'type', value: DType.int32 } };
    return this.graph.add('Fill', types, [this.#withSizes(this.graph.integers(shape)), value], [{ dtype, shape }]).outputs[0]!;
  }

  #varies(size: number): boolean {
    return [...this.#sizes.keys()].some((prime) => size !== 0 && size % prime === 0);
  }

  /** @returns the operand with sizes that are fed in place of their primes */
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

  /** @returns a recorded size as the product of the sizes that are fed and a constant */
  #product(value: number): Output {
    let rest = value;
    let product: Output | null = null;
    const times = (factor: Output) => {
      const type: Record<string, Attribute> = { T: { kind: 'type', value: DType.int32 } };
      product = product === null ? factor : this.graph.add('Mul', type, [product, factor], [{ dtype: DType.int32, shape: [] }]).outputs[0]!;
    };
    for (const [prime, size] of this.#sizes) {
      for (; rest !== 0 && rest % prime === 0; rest /= prime) times(size);
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
      throw new Error(`the attribute ${name} has a type that cannot be recorded`);
  }
}

function bytesOf(dtype: number, values: ArrayLike<number>): Uint8Array {
  if (dtype === DType.float32) return new Uint8Array(Float32Array.from(values).buffer);
  if (dtype === DType.int32) return new Uint8Array(Int32Array.from(values).buffer);
  if (dtype === DType.bool) return Uint8Array.from(values);
  throw new Error(`a constant of TensorFlow's type ${dtype} cannot be recorded`);
}
