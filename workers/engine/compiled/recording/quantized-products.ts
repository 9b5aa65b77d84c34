/** Products with a matrix that is held quantised get a kernel of their own (kernels/quantized-products.cc), which never has the whole matrix in memory. */
import { type Attribute, type Call, DType, type Output, type ResultType } from './graph.ts';
import { lookUp } from './operations.ts';

export interface QuantizedProduct extends Call {
  result: ResultType;
}

interface Choices {
  /** The type that products read and give. */
  resultType: number;
  cast(output: Output, dtype: number): Output;
}

/** @returns what to record instead; null if the call is no product with a quantised matrix on its right */
export function asQuantizedProduct({ op, attributes, inputs }: Call, { resultType, cast }: Choices): QuantizedProduct | null {
  if (lookUp(op).thin !== 'product') return null;
  const [x, w] = inputs as [Output, Output];
  if (lookUp(w.node.op).dequantizes !== true || x.shape.length !== 2 || isTrue(attributes['adj_x'])) return null;
  const [packed] = w.node.inputs as [Output];
  const { format, rows, columns, transposed } = Object.fromEntries(w.node.attributes) as Record<string, Attribute>;
  const isTransposed = isTrue(attributes['adj_y']) !== isTrue(transposed);
  return {
    op: 'GraftQuantizedProduct',
    attributes: {
      T: { kind: 'type', value: resultType },
      format: format!,
      rows: rows!,
      columns: columns!,
      transposed: { kind: 'bool', value: isTransposed },
    },
    inputs: [cast(x, resultType), packed],
    result: { dtype: resultType, shape: [x.shape[0]!, (isTransposed ? rows : columns)!.value as number] },
  };
}

const isTrue = (attribute: Attribute | undefined): boolean => attribute?.value === true;

/** Types of products: what `Choices.resultType` is. */
export const productType = (precision: 'f32' | 'bf16'): number => (precision === 'bf16' ? DType.bfloat16 : DType.float32);
