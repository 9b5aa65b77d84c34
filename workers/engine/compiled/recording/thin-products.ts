/**
 * Products with narrow matrices, which are LoRA's, get kernels of their own (kernels/thin-products.cc). One of them also does an addition that
 * follows.
 */
import { LARGEST_THIN_RANK } from '../../tensorflow/native.ts';
import { type Attribute, type Call, DType, type Output, type ResultType } from './graph.ts';
import { beforeCast } from './mixed-precision.ts';
import { lookUp } from './operations.ts';

export interface ThinProduct extends Call {
  result: ResultType;
}

interface Choices {
  /** The type of the wide matrices that products read and give. */
  resultType: number;
  cast(output: Output, dtype: number): Output;
  /** Whether a size varies from run to run, as the number of tokens does. */
  varies(size: number): boolean;
}

/** @returns what to record instead; null if the call is no such product */
export function asThinProduct({ op, attributes, inputs }: Call, choices: Choices): ThinProduct | null {
  const { thin } = lookUp(op);
  if (thin === undefined) return null;
  const operands = inputs as [Output, Output];
  return thin === 'sum' ? ofSum(operands) : ofProduct(operands, { a: isTrue(attributes, 'adj_x'), b: isTrue(attributes, 'adj_y') }, choices);
}

const isTrue = (attributes: Record<string, Attribute>, name: string): boolean => attributes[name]?.value === true;
const isThin = (size: number, { varies }: Choices): boolean => size <= LARGEST_THIN_RANK && !varies(size);

function ofProduct([a, b]: [Output, Output], adjoint: { a: boolean; b: boolean }, choices: Choices): ThinProduct | null {
  if (a.shape.length !== 2 || b.shape.length !== 2) return null;
  const [aRows, aColumns] = a.shape as [number, number];
  const [bRows, bColumns] = b.shape as [number, number];
  if (!choices.varies(aRows)) return null;
  if (!adjoint.a) {
    const columns = adjoint.b ? bRows : bColumns;
    if (choices.varies(columns)) return null;
    if (isThin(aColumns, choices)) return thinProduct('GraftRankUpdate', [a, b], adjoint.b, { dtype: choices.resultType, shape: [aRows, columns] });
    return isThin(columns, choices)
      ? thinProduct('GraftRankReduce', [choices.cast(a, choices.resultType), b], !adjoint.b, { dtype: DType.float32, shape: [aRows, columns] })
      : null;
  }
  if (adjoint.b || bRows !== aRows) return null;
  const result = { dtype: DType.float32, shape: [aColumns, bColumns] };
  if (isThin(aColumns, choices)) return thinProduct('GraftRankOuter', [a, choices.cast(b, choices.resultType)], false, result);
  return isThin(bColumns, choices) ? thinProduct('GraftRankOuter', [b, choices.cast(a, choices.resultType)], true, result) : null;
}

/** Y + H·T, or Y + H·Tᵀ, as one operation. */
function ofSum(terms: [Output, Output]): ThinProduct | null {
  const [first, second] = terms.map(beforeCast) as [Output, Output];
  if (first.shape.join() !== second.shape.join()) return null;
  const update = [first, second].find(({ node }) => node.op === 'GraftRankUpdate' && node.inputs.length === 2);
  if (update === undefined) return null;
  const addend = update === first ? second : first;
  const transposed = update.node.attributes.get('transposed')!.value === true;
  return thinProduct('GraftRankUpdate', [...update.node.inputs, addend], transposed, addend);
}

function thinProduct(op: string, inputs: Output[], transposed: boolean, result: ResultType): ThinProduct {
  const attributes: Record<string, Attribute> = {
    Tin: { kind: 'types', value: inputs.map(({ dtype }) => dtype) },
    transposed: { kind: 'bool', value: transposed },
    ...(op === 'GraftRankUpdate' ? { Tout: { kind: 'type', value: result.dtype } } : {}),
  };
  return { op, attributes, inputs, result };
}
