import { describe, expect, it } from 'vitest';
import { type Attribute, DType, Graph, type Output } from '../../../../../workers/engine/compiled/recording/graph.ts';
import { recompute } from '../../../../../workers/engine/compiled/rewriting/recompute.ts';

const FLOAT: Record<string, Attribute> = { T: { kind: 'type', value: DType.float32 } };

/**
 * Forward: product → sigmoid → square → sum. Backward reads the square and the sigmoid.
 * @param terms that each element of the product sums
 */
function small(terms = 512) {
  const graph = new Graph();
  const result = (shape: number[]) => [{ dtype: DType.float32, shape }];
  const add = (op: string, inputs: Output[], shape: number[]): Output => graph.add(op, FLOAT, inputs, result(shape)).outputs[0]!;
  const x = graph.placeholder('x', DType.float32, [8, terms]);
  const product = add('BatchMatMulV2', [x, graph.placeholder('w', DType.float32, [terms, 4])], [8, 4]);
  const sigmoid = add('Sigmoid', [product], [8, 4]);
  const square = add('Square', [sigmoid], [8, 4]);
  const loss = add('Sum', [square], []);
  const begin = graph.nodes.length;
  const slope = add('Neg', [loss], []);
  const first = add('Mul', [slope, square], [8, 4]);
  const second = add('Mul', [first, sigmoid], [8, 4]);
  return { graph, begin, end: graph.nodes.length, x, product, sigmoid, square, slope, first, second };
}

describe('recompute', () => {
  it('keeps one tensor instead of two, and computes the other from it once the gradient is there', () => {
    const { graph, begin, end, product, sigmoid, slope, first, second } = small();
    recompute(graph, { begin, end, checkpoints: null });
    const square = first.node.inputs[1]!;
    expect(square.node).toMatchObject({ op: 'Square', after: [slope.node] });
    // Product and sigmoid are equally large. The nearer one is kept.
    expect(square.node.inputs).toEqual([sigmoid]);
    expect(second.node.inputs[1]).toBe(sigmoid);
    expect(sigmoid.node.inputs).toEqual([product]);
  });

  it('computes a product again that sums few terms, and keeps one that sums many', () => {
    for (const [terms, kept] of [
      [128, false],
      [129, true],
    ] as const) {
      const { graph, begin, end, sigmoid, second } = small(terms);
      recompute(graph, { begin, end, checkpoints: null });
      expect(second.node.inputs[1] === sigmoid).toBe(kept);
    }
  });

  it('computes products again too if there are checkpoints', () => {
    const { graph, begin, end, x, product, slope, first } = small();
    recompute(graph, { begin, end, checkpoints: new Set() });
    const again = first.node.inputs[1]!.node.inputs[0]!.node.inputs[0]!.node;
    expect(again).toMatchObject({ op: 'BatchMatMulV2', after: [slope.node] });
    expect(again).not.toBe(product.node);
    expect(again.inputs[0]).toBe(x);
  });

  it('leaves the forward pass as it was', () => {
    const { graph, begin, end } = small();
    const before = graph.nodes.slice(0, begin).map(({ op, inputs }) => [op, [...inputs]]);
    recompute(graph, { begin, end, checkpoints: new Set() });
    expect(graph.nodes.slice(0, begin).map(({ op, inputs }) => [op, inputs])).toEqual(before);
  });
});
