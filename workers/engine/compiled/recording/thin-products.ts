/**
 * Products with narrow matrices, which are LoRA's, get kernels of their own (kernels/thin-products.cc). One of them also does an addition that
 * follows. Where columns have owners, the code asks for the kernel by name (tensorflow/native.ts).
 */
import { LARGEST_THIN_RANK } from '../../tensorflow/native.ts';
import { type Attribute, type Call, DType, type GraphNode, type Output, type ResultType } from './graph.ts';
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
  const [a, b, ...owners] = inputs as [Output, Output, ...Output[]];
  if (thin === 'sum') return ofSum([a, b]);
  if (thin === 'product') return ofProduct([a, b], { a: isTrue(attributes, 'adj_x'), b: isTrue(attributes, 'adj_y') }, choices);
  return FORMS[thin](a, b, { transposed: isTrue(attributes, 'transposed'), owners, choices });
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
    if (isThin(aColumns, choices)) return FORMS.update(a, b, { transposed: adjoint.b, choices });
    return isThin(columns, choices) ? FORMS.reduce(a, b, { transposed: !adjoint.b, choices }) : null;
  }
  if (adjoint.b || bRows !== aRows) return null;
  if (isThin(aColumns, choices)) return FORMS.outer(a, b, { transposed: false, choices });
  return isThin(bColumns, choices) ? FORMS.outer(b, a, { transposed: true, choices }) : null;
}

interface FormOptions {
  transposed: boolean;
  /** Of the tokens and of the rank's columns, if they have any. */
  owners?: Output[];
  choices: Choices;
}

/** The forms that a product can have, as the kernels describe them. */
const FORMS = {
  update(h: Output, t: Output, { transposed, owners = [], choices }: FormOptions): ThinProduct {
    const result = { dtype: choices.resultType, shape: [h.shape[0]!, t.shape[transposed ? 0 : 1]!] };
    return thinProduct('GraftRankUpdate', [h, t], { transposed, owners, result });
  },
  reduce(x: Output, t: Output, { transposed, owners = [], choices }: FormOptions): ThinProduct {
    const result = { dtype: DType.float32, shape: [x.shape[0]!, t.shape[transposed ? 1 : 0]!] };
    return thinProduct('GraftRankReduce', [choices.cast(x, choices.resultType), t], { transposed, owners, result });
  },
  outer(h: Output, x: Output, { transposed, owners = [], choices }: FormOptions): ThinProduct {
    const shape = [h.shape[1]!, x.shape[1]!];
    const result = { dtype: DType.float32, shape: transposed ? shape.toReversed() : shape };
    return thinProduct('GraftRankOuter', [h, choices.cast(x, choices.resultType)], { transposed, owners, result });
  },
} as const;

/** Y + H·T, or Y + H·Tᵀ, as one operation. */
function ofSum(terms: [Output, Output]): ThinProduct | null {
  const [first, second] = terms.map(beforeCast) as [Output, Output];
  if (first.shape.join() !== second.shape.join()) return null;
  const update = [first, second].find(({ node }) => lookUp(node.op).thin === 'update' && matricesOf(node).length === 2);
  if (update === undefined) return null;
  const addend = update === first ? second : first;
  const { attributes, inputs } = update.node;
  const owners = inputs.slice(matricesOf(update.node).length);
  const transposed = attributes.get('transposed')!.value === true;
  return thinProduct('GraftRankUpdate', [...matricesOf(update.node), addend], { transposed, owners, result: addend });
}

/** The inputs of a thin product before the owners. */
const matricesOf = ({ attributes, inputs }: GraphNode): Output[] => inputs.slice(0, inputs.length - (attributes.get('N')!.value as number));

interface ProductOptions {
  transposed: boolean;
  owners: Output[];
  result: ResultType;
}

function thinProduct(op: string, matrices: Output[], { transposed, owners, result }: ProductOptions): ThinProduct {
  const attributes: Record<string, Attribute> = {
    Tin: { kind: 'types', value: matrices.map(({ dtype }) => dtype) },
    N: { kind: 'int', value: owners.length },
    transposed: { kind: 'bool', value: transposed },
    ...(op === 'GraftRankUpdate' ? { Tout: { kind: 'type', value: result.dtype } } : {}),
  };
  return { op, attributes, inputs: [...matrices, ...owners], result };
}
