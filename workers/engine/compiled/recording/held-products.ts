/**
 * Products with a frozen matrix that is not held as they need it get kernels of their own, which never have the whole matrix in memory: one that is held
 * quantised (kernels/quantized-products.cc, kernels/gpu/dequantized-products.cc), and one in bf16 in products of f32 (kernels/held-products.cc). So do
 * products of bf16 on a processor's matrix unit, which TensorFlow's own use at a fifth of its speed.
 */
import type { Precision } from '../../../../src/formats/hyperparameters.ts';
import { ownKernels } from '../../tensorflow/native.ts';
import { type Attribute, type Call, DType, type Output, type ResultType } from './graph.ts';
import { lookUp } from './operations.ts';

export interface HeldProduct extends Call {
  result: ResultType;
}

interface Choices {
  /** The type that products read and give. */
  resultType: number;
  /** Whether the processor has one, which multiplies bf16. */
  hasMatrixUnit: boolean;
  cast(output: Output, dtype: number): Output;
}

/** @returns what to record instead; null if the call is no product with such a matrix on its right */
export function asHeldProduct({ op, attributes, inputs }: Call, choices: Choices): HeldProduct | null {
  if (lookUp(op).thin !== 'product') return null;
  const [x, w] = inputs as [Output, Output];
  if (x.shape.length !== 2 || w.shape.length !== 2 || isTrue(attributes['adj_x'])) return null;
  const options = { transposed: isTrue(attributes['adj_y']), choices };
  if (lookUp(w.node.op).dequantizes === true) return ofQuantized(x, w, options);
  if (w.dtype !== DType.bfloat16 || !ownKernels()) return null;
  return choices.resultType === DType.float32 || choices.hasMatrixUnit ? ofHeld(x, w, options) : null;
}

interface Options {
  transposed: boolean;
  choices: Choices;
}

function ofQuantized(x: Output, w: Output, { transposed, choices: { resultType, cast } }: Options): HeldProduct {
  const [packed] = w.node.inputs as [Output];
  const { format, rows, columns, transposed: isTransposed } = Object.fromEntries(w.node.attributes) as Record<string, Attribute>;
  const asHeld = transposed !== isTrue(isTransposed);
  return {
    op: 'GraftQuantizedProduct',
    attributes: {
      T: { kind: 'type', value: resultType },
      Tw: { kind: 'type', value: packed.dtype },
      format: format!,
      rows: rows!,
      columns: columns!,
      transposed: { kind: 'bool', value: asHeld },
    },
    inputs: [cast(x, resultType), packed],
    result: { dtype: resultType, shape: [x.shape[0]!, (asHeld ? rows : columns)!.value as number] },
  };
}

function ofHeld(x: Output, w: Output, { transposed, choices: { resultType, cast } }: Options): HeldProduct {
  return {
    op: 'GraftHeldProduct',
    attributes: { T: { kind: 'type', value: resultType }, transposed: { kind: 'bool', value: transposed } },
    inputs: [cast(x, resultType), w],
    result: { dtype: resultType, shape: [x.shape[0]!, w.shape[transposed ? 0 : 1]!] },
  };
}

const isTrue = (attribute: Attribute | undefined): boolean => attribute?.value === true;

/** Types of products: what `Choices.resultType` is. */
export const productType = (precision: Precision): number => (precision === 'bf16' ? DType.bfloat16 : DType.float32);
