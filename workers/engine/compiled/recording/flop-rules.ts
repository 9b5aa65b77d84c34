/** How many floating-point operations a product takes; an addition and a multiplication are two. */

import { shapeSize } from '../../../../src/formats/shape-size.ts';
import type { GraphNode } from './graph.ts';
import { innerSize } from './shape-rules.ts';

export interface TracedRun {
  /** How many elements the node's results had. */
  elements: number;
  /** The size in this run that was recorded as `size`. */
  actual(size: number): number;
}

export type FlopRule = (node: GraphNode, run: TracedRun) => number;

export const product: FlopRule = (node, { elements, actual }) => 2 * elements * actual(innerSize(node));

/** [tokens, r]·[r, columns], or [tokens, columns]·[columns, r]. */
export const rankProduct: FlopRule = ({ inputs: [a] }, { elements, actual }) => 2 * elements * actual(a!.shape[1]!);

/** One input [rows, inner] with several matrices [columns, inner]. */
export const rowProducts: FlopRule = ({ inputs: [x, ...matrices] }, { actual }) =>
  matrices.reduce((sum, { shape }) => sum + 2 * actual(x!.shape[0]!) * shape[0]! * shape[1]!, 0);

/** [tokens, inner] with a quantised matrix. */
export const heldProduct: FlopRule = ({ inputs: [x] }, { elements }) => 2 * elements * x!.shape[1]!;

/** A sum over the tokens, which the first two inputs have in their rows. */
export const outerProduct: FlopRule = ({ inputs: [, b], outputs: [result] }, { actual }) => 2 * shapeSize(result!.shape) * actual(b!.shape[0]!);

/** Each row of the result is one of the first input times one matrix. */
export const expertProducts: FlopRule = ({ inputs: [x] }, { elements }) => 2 * elements * x!.shape[1]!;

/** A sum over the choices. */
export const expertOuter: FlopRule = ({ inputs: [a, b, experts] }, { actual }) => 2 * actual(experts!.shape[0]!) * a!.shape[1]! * b!.shape[1]!;

/** Two products of [tokens, out], [tokens, r] and [out, r]. */
export const expansionGradient: FlopRule = ({ inputs: [dy, H] }, { actual }) => 4 * actual(dy!.shape[0]!) * dy!.shape[1]! * H!.shape[1]!;

/** @param products of queries or scores with what each token sees, which is half of the row on average */
export const attention =
  (products: number): FlopRule =>
  ({ inputs: [q] }, { actual }) =>
    products * actual(q!.shape[1]!) * q!.shape.reduce((product, size) => product * actual(size), 1);
