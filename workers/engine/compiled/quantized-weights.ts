/** Frozen weights that a session holds quantised. Code that is recorded sees matrices; products read the quantised ones (recording/held-products.ts). */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { weightShapes } from '../../../src/formats/module-shapes.ts';
import { type Quantization, quantizableWeights, quantizedBytes } from '../../../src/formats/quantization.ts';
import { backend } from '../tensorflow/backend.ts';
import { dequantizeKernel, quantized } from '../tensorflow/quantization.ts';
import { type Tensor, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import type { Shapes } from './recorded-slabs.ts';
import { DType, type Graph } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import { type HeldSlab, setVariable } from './session/held-slabs.ts';
import type { GraphSession } from './session/session.ts';
import { sessionVariable } from './session/session-variable.ts';
import { COLUMNS, type Fill, reader, slabsOf } from './slab.ts';

interface Choices {
  config: ModelConfig;
  /** null: none is. */
  quantization: Quantization | null;
}

/** @returns which of the weights are held quantised, and the others */
export function dividedByQuantization(frozen: Shapes, { config, quantization }: Choices): { quantized: Shapes; others: Shapes } {
  const quantizable = quantizableWeights(config);
  const isQuantized = ([name]: Shapes[number]): boolean => quantization !== null && quantizable.has(name);
  return { quantized: frozen.filter(isQuantized), others: frozen.filter((weight) => !isQuantized(weight)) };
}

/** Words in a row of a quantised weight's shape: a cache line. */
const ROW_WORDS = 16;
const WORD_BYTES = 4;

/** Adds variables for weights, a slab for each block. @param names of `quantizableWeights` */
export function holdQuantized(graph: Graph, names: Iterable<string>, { config, quantization }: Choices): HeldSlab[] {
  if (quantization === null) return [];
  const quantizable = quantizableWeights(config);
  const shapes = [...names].map((name) => {
    const words = quantizedBytes(quantization, quantizable.get(name)!) / WORD_BYTES;
    return [name, [words / ROW_WORDS, ROW_WORDS]] as const;
  });
  return slabsOf(shapes, config.names.blocks).map((slab) => ({
    slab,
    variable: sessionVariable(graph, `quantized/${slab.name}`, slab.shape, { dtype: DType.int32 }),
  }));
}

/** @returns recorded tensors for all weights in the slabs, by name, each as in the checkpoint; owned by the caller */
export function quantizedTensors(recorder: Recorder, held: readonly HeldSlab[], { config, quantization }: Choices): Map<string, Tensor> {
  const quantizable = quantizableWeights(config);
  const parts = held.flatMap(({ slab, variable }) => {
    const whole = recorder.tensor(variable.value) as Tensor2D;
    const matrices = recorder.record(() =>
      tf.tidy(() => {
        const rows = tf.split(
          whole,
          slab.parts.map((part) => part.rows),
          0,
        );
        const { inputFirst } = config;
        const matrixOf = (name: string, index: number): Tensor2D =>
          dequantizeKernel(rows[index]!, { quantization: quantization!, ...quantizable.get(name)!, inputFirst });
        return Object.fromEntries(slab.parts.map(({ name }, index) => [name, matrixOf(name, index)]));
      }),
    );
    return Object.entries(matrices);
  });
  return new Map(parts);
}

/** @returns the sizes of the matrices in the slabs */
export function quantizedSizes(held: readonly HeldSlab[], config: ModelConfig): number[] {
  const quantizable = quantizableWeights(config);
  return held.flatMap(({ slab }) => slab.parts.flatMap(({ name }) => Object.values(quantizable.get(name)!)));
}

interface Assignment extends Partial<Choices> {
  config: ModelConfig;
  /** Writes a weight, as in the checkpoint. */
  readWeight: Fill;
}

/**
 * Reads, quantises and sets weights one after the other, so that one matrix is in memory beside what the session holds. On a GPU a block is set at once,
 * and its codes are in main memory until then.
 */
export function assignQuantized(session: GraphSession, held: readonly HeldSlab[], { config, quantization, readWeight }: Assignment): void {
  const quantizable = quantizableWeights(config);
  const read = reader(weightShapes(config), readWeight);
  for (const { slab, variable } of held) {
    const whole = backend.isUsingGpuDevice ? new Int32Array(slab.shape[0] * COLUMNS) : null;
    for (const { name, firstRow, rows } of slab.parts) {
      const { out, in: into } = quantizable.get(name)!;
      const values = read(name);
      const words = whole?.subarray(firstRow * COLUMNS, (firstRow + rows) * COLUMNS) ?? new Int32Array(rows * COLUMNS);
      words.set(quantized(config.inputFirst ? transposed(values, out) : values, { quantization: quantization!, out, in: into }));
      if (whole === null) session.write(variable, { firstRow, values: words });
    }
    if (whole !== null) setVariable(session, variable, whole);
  }
}

/** @param values [in, out], row-major. @returns [out, in] */
function transposed(values: Float32Array, out: number): Float32Array {
  const into = values.length / out;
  return values.map((_, index) => values[(index % into) * out + Math.floor(index / into)]!);
}
