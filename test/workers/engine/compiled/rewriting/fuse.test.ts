import { describe, expect, it } from 'vitest';
import type { GraphNode } from '../../../../../workers/engine/compiled/recording/graph.ts';
import { within } from '../../../../../workers/engine/tensorflow/scope.ts';
import { tf } from '../../../../../workers/engine/tensorflow/tensorflow.ts';
import { fusedNodes, matrix, SIZE } from './fused-nodes.ts';

const FUSED = 'GraftFusedRows';
const programOf = ({ attributes }: GraphNode) => attributes.get('program')?.value;

describe('fuseRows', () => {
  it('makes two independent chains over rows of different shapes two fused operations', () => {
    const { wide, narrow } = fusedNodes({
      body: (x) => ({ wide: tf.neg(tf.square(x)), narrow: tf.exp(tf.sigmoid(tf.slice(x, [0, 0], [SIZE, 3]))) }),
      runs: [['wide', 'narrow']],
    });
    expect([wide.op, narrow.op]).toEqual([FUSED, FUSED]);
    expect(narrow).not.toBe(wide);
  });

  it('keeps a chain apart from one that it reads, if their rows differ in number', () => {
    const { weights, weighted } = fusedNodes({
      body: (x) => {
        const weights = tf.exp(tf.square(tf.slice(x, [0, 0], [1, SIZE]).reshape([SIZE])));
        return { weights, weighted: tf.tanh(tf.mul(x, weights)) };
      },
      runs: [['weighted']],
    });
    expect([weights.op, weighted.op]).toEqual([FUSED, FUSED]);
    expect(weighted).not.toBe(weights);
    expect(weighted.inputs.map(({ node }) => node)).toContain(weights);
  });

  it('keeps a chain apart from one that it reads, if their rows differ in length', () => {
    const { means, end } = fusedNodes({
      body: (x) => {
        const means = tf.mean(tf.square(x), 1, true);
        return { means, end: tf.exp(tf.tanh(tf.mul(tf.slice(x, [0, 0], [SIZE, 3]), means))) };
      },
      runs: [['end']],
    });
    expect([programOf(means), programOf(end)]).toEqual([
      'in full square v0 mean v1 out keep v2',
      'in full in row mul v0 v1 tanh v2 exp v3 out full v4',
    ]);
  });

  it('keeps what has one number a row apart from what has one number for all rows', () => {
    const { forAll, end } = fusedNodes({
      body: (x) => {
        const forAll = tf.exp(tf.slice(x, [0, 0], [1, 1]));
        const end = tf.mul(tf.mean(x, 1, true), forAll);
        return { forAll, end, ofEnd: tf.matMul(end, end, true, false) };
      },
      runs: [['ofEnd']],
    });
    expect(forAll.op).toBe('Exp');
    expect(programOf(end)).toBe('in full in row mean v0 mul v2 v1 out keep v3');
  });

  it('fuses operations on one number a row into the chain that computes these numbers', () => {
    const { norm } = fusedNodes({ body: (x) => ({ norm: tf.sqrt(tf.add(tf.mean(tf.square(x), 1, true), 1)) }), runs: [['norm']] });
    expect(programOf(norm)).toBe('in full square v0 mean v1 add v2 c1 sqrt v3 out keep v4');
  });

  it('splits a chain whose end waits for a product of its middle', () => {
    const { middle, product, end } = fusedNodes({
      body: (x) => {
        const middle = tf.tanh(tf.square(x));
        const product = tf.matMul(middle, matrix());
        const end = tf.sigmoid(tf.add(middle, product));
        return { middle, product, end, ofEnd: tf.matMul(end, matrix()) };
      },
      runs: [['ofEnd']],
    });
    expect([middle.op, product.op, end.op]).toEqual([FUSED, 'BatchMatMulV2', FUSED]);
    expect(product.inputs[0]!.node).toBe(middle);
    expect(end.inputs.map(({ node }) => node)).toEqual(expect.arrayContaining([middle, product]));
  });

  it('splits a chain whose end waits for another chain that its middle feeds', () => {
    const { squares, scales, end } = fusedNodes({
      body: (x) => {
        const squares = tf.square(x);
        const scales = tf.exp(tf.neg(tf.mean(squares, 1))); // over a single row [6]
        return { squares, scales, end: tf.tanh(tf.mul(squares, scales)) };
      },
      runs: [['end']],
    });
    expect([squares.op, scales.op, end.op]).toEqual([FUSED, FUSED, FUSED]);
    expect(new Set([squares, scales, end]).size).toBe(3);
  });

  it('leaves an operation that nothing needs yet for the chain that reads it', () => {
    const { chain, end } = fusedNodes({
      body: (x) => {
        const chain = tf.neg(tf.exp(x));
        const early = tf.square(x); // could run with the chain, but the product does not need it
        return { chain, end: tf.add(tf.matMul(chain, matrix()), early) };
      },
      runs: [['end']],
    });
    expect(programOf(chain)).toBe('in full exp v0 neg v1 out full v2');
    expect(programOf(end)).toMatch(/^in full in full square v\d add v\d v2 out full v3$/);
  });

  it('leaves operations that nothing needs yet for a chain that waits for rows of another shape', () => {
    const { squares, end } = fusedNodes({
      body: (x) => {
        const squares = tf.square(x);
        const scales = tf.exp(tf.neg(tf.mean(squares, 1)));
        const end = tf.add(tf.mul(squares, scales), tf.sqrt(tf.sigmoid(x)));
        return { squares, end, ofEnd: tf.matMul(end, matrix()) };
      },
      runs: [['ofEnd']],
    });
    expect(programOf(squares)).not.toContain('sigmoid');
    expect(programOf(end)).toContain('sigmoid');
  });

  it('puts the fused operation into the part of the model of its first member', () => {
    const { end } = fusedNodes({ body: (x) => within('model.norm', () => ({ end: tf.neg(tf.square(x)) })), runs: [['end']] });
    expect(end).toMatchObject({ op: FUSED, scope: 'model.norm' });
  });

  it('moves control dependencies from and to members to the fused operation, and drops those between members', () => {
    const { before, last, product } = fusedNodes({
      body: (x) => {
        const [before, product] = [tf.matMul(matrix(), matrix()), tf.matMul(x, matrix())];
        const first = tf.square(x);
        return { before, first, last: tf.neg(first), product };
      },
      runs: [['before', 'last', 'product']],
      order: ({ before, first, last, product }) => {
        first.node.after = [before.node];
        last.node.after = [first.node, before.node];
        product.node.after = [first.node, last.node];
      },
    });
    expect(last).toMatchObject({ op: FUSED, after: [before] });
    expect(product.after).toEqual([last]);
  });

  it('keeps a chain apart from one that it only waits for', () => {
    const { one, other } = fusedNodes({
      body: (x) => {
        const first = tf.exp(x);
        return { one: tf.neg(tf.square(x)), first, other: tf.tanh(first) };
      },
      runs: [['one', 'other']],
      order: ({ one, first }) => {
        first.node.after = [one.node];
      },
    });
    expect([one, other]).toMatchObject([{ op: FUSED, after: [] }, { op: FUSED }]);
    expect(other.after).toEqual([one]);
  });

  it('splits a chain whose end waits by a control dependency for a product of its middle', () => {
    const { middle, product, end } = fusedNodes({
      body: (x) => {
        const middle = tf.tanh(tf.square(x));
        const end = tf.sigmoid(tf.neg(middle));
        return { middle, product: tf.matMul(middle, matrix()), end, ofEnd: tf.matMul(end, matrix()) };
      },
      runs: [['product', 'ofEnd']],
      order: ({ product, end }) => {
        end.node.after = [product.node];
        end.node.inputs[0]!.node.after = [product.node];
      },
    });
    expect([middle.op, end.op, end.after]).toEqual([FUSED, FUSED, [product]]);
    expect(end).not.toBe(middle);
  });

  it('returns a result that is both fetched and read inside the chain', () => {
    const { middle, end } = fusedNodes({
      body: (x) => {
        const middle = tf.exp(tf.square(tf.sigmoid(x)));
        return { middle, end: tf.neg(tf.sqrt(middle)) };
      },
      runs: [['middle', 'end']],
    });
    expect(middle).toBe(end);
    expect(end.outputs.length).toBe(2);
  });

  it('returns a result that is read both outside and inside the chain', () => {
    const { middle, end, ...products } = fusedNodes({
      body: (x) => {
        const middle = tf.exp(tf.square(tf.sigmoid(x)));
        const end = tf.neg(tf.sqrt(middle));
        return { middle, end, ofMiddle: tf.matMul(middle, matrix()), ofEnd: tf.matMul(end, matrix()) };
      },
      runs: [['ofMiddle', 'ofEnd']],
    });
    expect(middle).toBe(end);
    expect([products.ofMiddle, products.ofEnd].map(({ inputs }) => inputs[0])).toEqual(end.outputs);
  });

  it('keeps operations apart that different runs need', () => {
    const { shared, one, other } = fusedNodes({
      body: (x) => {
        const shared = tf.exp(tf.sigmoid(x));
        return { shared, one: tf.neg(tf.square(shared)), other: tf.sqrt(tf.tanh(shared)) };
      },
      runs: [['one'], ['one', 'other']],
    });
    // Both runs need the chain up to `one`; only the second needs `other`.
    expect(shared).toBe(one);
    expect([one.op, other.op]).toEqual([FUSED, FUSED]);
    expect(other).not.toBe(one);
  });

  it('leaves a single operation as it is, except for a softmax', () => {
    const { single, softmax } = fusedNodes({
      body: (x) => ({ single: tf.square(x), softmax: tf.softmax(tf.slice(x, [0, 0], [SIZE, 3])) }),
      runs: [['single', 'softmax']],
    });
    expect([single.op, softmax.op]).toEqual(['Square', FUSED]);
  });
});
