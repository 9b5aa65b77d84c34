/**
 * All that is known of operations, in one table with a row for each. The recorder, mixed precision, the rewriting, the session and the profile read
 * its fields and never compare an operation's name. A new kernel adds its row here.
 */
import * as flops from './flop-rules.ts';
import type { GraphNode } from './graph.ts';
import * as rows from './row-rules.ts';
import * as shapes from './shape-rules.ts';

/** An absent field means no. */
export interface Operation {
  /** Types and shapes of its results. Absent where the engine alone adds the operation: tfjs code cannot ask for it. */
  results?: shapes.ShapeRule;
  /** Which inputs hold sizes of the result. A size that varies from run to run is computed from what is fed. */
  shapedBy?: readonly number[];

  /** It takes each input in the type that it has; the attribute Tin names them. */
  takesAnyFloat?: boolean;
  /** Which inputs are in bf16 where products are. The attribute T names their type. */
  products?: readonly number[];
  /** Which of them may be in bf16 where products are f32. The attribute Tw names its type. */
  widens?: number;
  /** It computes nothing: it moves elements of these inputs and keeps their type. */
  moves?: InputRange;
  /** The attribute that names the type of the moved elements, if it is not T. */
  movedType?: string;
  /** Its results hold each moved element exactly once, so that casting the inputs costs no more than casting the results. */
  permutes?: boolean;

  /** What thin-products.ts takes it for: something that may contain a product with a narrow matrix, or the form of one. */
  thin?: 'product' | 'sum' | 'update' | 'reduce' | 'outer';

  /** It gives a whole matrix that is held quantised. Products read the quantised one instead. */
  dequantizes?: boolean;

  /** It takes about as long as reading its inputs. */
  cheap?: boolean | ((node: GraphNode) => boolean);
  /** Its result is in memory during the whole run anyway. */
  held?: boolean;
  /** Its results are parts of its first input and take no memory of their own. */
  view?: boolean;

  /** How a program over rows computes it. */
  rows?: rows.RowRule;

  /** Its result is fed, so a session keeps it even if nothing reads it. */
  fed?: boolean;
  /** How many floating-point operations it takes. Absent for all but products. */
  flops?: flops.FlopRule;
}

type InputRange = 'the first' | 'all but the last';

/** A product is cheap if each of its elements sums no more terms than this: attention's scores, and the product with a LoRA's B. */
const FEW_TERMS = 128;
const sumsFewTerms = (node: GraphNode): boolean => shapes.innerSize(node) <= FEW_TERMS;

const likeInput: Operation = { results: shapes.same, cheap: true };
const broadcast: Operation = { results: shapes.broadcast, cheap: true };
const comparison: Operation = { results: shapes.compared, cheap: true };

export const OPERATIONS: Readonly<Record<string, Operation>> = {
  // Sources
  Const: { held: true },
  Placeholder: { held: true, fed: true },
  VarHandleOp: { held: true },
  ReadVariableOp: { held: true },

  // Changes of variables
  AssignVariableOp: {},
  AssignAddVariableOp: {},
  AssignSubVariableOp: {},
  ResourceApplyAdam: {},
  GraftAdamW: {},
  GraftAdamW8bit: {},
  GraftWriteVariable: {},

  // Element by element
  Neg: { ...likeInput, rows: rows.elementwise('neg') },
  Square: { ...likeInput, rows: rows.elementwise('square') },
  Sqrt: { ...likeInput, rows: rows.elementwise('sqrt') },
  Rsqrt: { ...likeInput, rows: rows.elementwise('rsqrt') },
  Exp: { ...likeInput, rows: rows.elementwise('exp') },
  Tanh: { ...likeInput, rows: rows.elementwise('tanh') },
  Sigmoid: { ...likeInput, rows: rows.elementwise('sigmoid') },
  Log: likeInput,
  Erf: likeInput,
  Softplus: likeInput,
  Cos: likeInput,
  Sin: likeInput,
  Cast: { results: shapes.cast, cheap: true, rows: rows.cast },
  Add: { ...broadcast, rows: rows.elementwise('add'), thin: 'sum' },
  Sub: { ...broadcast, rows: rows.elementwise('sub') },
  Mul: { ...broadcast, rows: rows.elementwise('mul') },
  RealDiv: { ...broadcast, rows: rows.elementwise('div') },
  Maximum: { ...broadcast, rows: rows.elementwise('maximum') },
  Minimum: { ...broadcast, rows: rows.elementwise('minimum') },
  Pow: broadcast,
  SquaredDifference: broadcast,
  AddN: { ...likeInput, rows: rows.sumOfAll },
  Less: { ...comparison, rows: rows.elementwise('less') },
  LessEqual: { ...comparison, rows: rows.elementwise('less_equal') },
  Greater: { ...comparison, rows: rows.elementwise('greater') },
  GreaterEqual: { ...comparison, rows: rows.elementwise('greater_equal') },
  Equal: { ...comparison, rows: rows.elementwise('equal') },
  NotEqual: { ...comparison, rows: rows.elementwise('not_equal') },
  LogicalAnd: broadcast,
  LogicalOr: broadcast,
  Select: { results: shapes.chosen, cheap: true, rows: rows.select },

  // Along an axis
  Sum: { results: shapes.reduced, rows: rows.reduction('sum') },
  Mean: { results: shapes.reduced, rows: rows.reduction('mean') },
  Max: { results: shapes.reduced, rows: rows.reduction('max') },
  Min: { results: shapes.reduced, rows: rows.reduction('min') },
  TopKV2: { results: shapes.largest },
  ArgMax: { results: shapes.argMax, rows: rows.argMax },
  Softmax: { ...likeInput, rows: rows.softmax },
  Roll: { ...likeInput, rows: rows.roll },
  TensorScatterSub: { results: shapes.same },
  UnsortedSegmentSum: { results: shapes.summedBySegment, shapedBy: [2] },

  // Moves
  Identity: { ...likeInput, moves: 'the first' },
  Reshape: { results: shapes.reshaped, shapedBy: [1], moves: 'the first', permutes: true, cheap: true, view: true },
  SplitV: { results: shapes.split, shapedBy: [1], moves: 'the first', permutes: true, cheap: true, view: true },
  Transpose: { results: shapes.transposed, moves: 'the first', permutes: true, cheap: true },
  ConcatV2: { results: shapes.concatenated, moves: 'all but the last', permutes: true, cheap: true },
  Slice: { results: shapes.sliced, shapedBy: [2], moves: 'the first', cheap: true, view: true },
  GatherV2: { results: shapes.gathered, moves: 'the first', movedType: 'Tparams', rows: rows.pick },
  Pack: { results: shapes.packed },
  Tile: { results: shapes.tiled, shapedBy: [1], cheap: true },
  Bitcast: {},
  CheckNumerics: {},

  // New tensors
  Fill: { results: shapes.filled, shapedBy: [0], cheap: true },
  ZerosLike: likeInput,
  StatelessRandomUniform: { results: shapes.random, shapedBy: [0], cheap: true },

  // Products
  BatchMatMulV2: { results: shapes.product, products: [0, 1], cheap: sumsFewTerms, thin: 'product', flops: flops.product },

  // The engine's own kernels
  GraftAttention: { results: shapes.attention, products: [0, 1, 2], flops: flops.attention(2) },
  GraftAttentionGradient: { results: shapes.attentionGradient, products: [0, 1, 2, 5, 6], flops: flops.attention(5) },
  GraftDeltaRule: { results: shapes.deltaRule },
  GraftDeltaRuleGradient: { results: shapes.deltaRuleGradient },
  GraftStateSpace: { results: shapes.likeThird },
  GraftStateSpaceGradient: { results: shapes.deltaRuleGradient },
  GraftCachedDeltaRule: { results: shapes.likeThird },
  GraftCachedStateSpace: { results: shapes.likeThird },
  GraftCachedConvolution: { results: shapes.same },
  GraftExpertProducts: { results: shapes.expertProducts, products: [0, 1], widens: 1, flops: flops.expertProducts },
  GraftExpertOuter: { results: shapes.expertOuter, products: [0, 1], flops: flops.expertOuter },
  GraftAddOuter: { results: shapes.addedOuter, products: [0, 1], flops: flops.outerProduct },
  GraftExpansionGradient: { results: shapes.expansionGradient, products: [0], flops: flops.expansionGradient },
  GraftRankUpdate: { thin: 'update', flops: flops.rankProduct },
  GraftRankReduce: { thin: 'reduce', flops: flops.rankProduct },
  GraftRankOuter: { thin: 'outer', flops: flops.outerProduct },
  GraftFusedRows: {},
  GraftRowProducts: { results: shapes.rowProducts, takesAnyFloat: true, flops: flops.rowProducts },
  GraftDequantize: { results: shapes.dequantized, dequantizes: true, cheap: true },
  GraftQuantizedProduct: { flops: flops.heldProduct },
  GraftHeldProduct: { flops: flops.heldProduct },
  GraftCachedAttention: { results: shapes.same },
  GraftCacheRelease: {},
  GraftAdapterRows: { results: shapes.adapterRows },
  GraftAdapterAssign: {},
  GraftAdapterRemove: {},
};

/** @throws Error naming an operation that has no row */
export function lookUp(op: string): Operation {
  const operation = OPERATIONS[op];
  if (operation === undefined) throw new Error(`the operation ${op} cannot be recorded: recording/operations.ts has no row for it`);
  return operation;
}

export const inRange = <T>(inputs: readonly T[], range: InputRange): T[] => inputs.slice(0, range === 'the first' ? 1 : -1);
