import { afterEach, describe, expect, it } from 'vitest';
import { expansionGradientKernel, ownOuterKernel, ownReductionKernel, ownUpdateKernel } from '../../../../workers/engine/tensorflow/native.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';
import { disposeSession, expectClose, recorded, TOKENS, TOLERANCES, waves } from './recorded-kernels.ts';

afterEach(disposeSession);

describe.each(TOLERANCES)('products with a narrow matrix in %s', (precision, tolerance) => {
  const wide = 150;
  const forms: [string, string, number[], number[], (a: Tensor2D, b: Tensor2D) => Tensor][] = [
    ['x·Aᵀ', 'GraftRankReduce', [TOKENS, wide], [16, wide], (a, b) => tf.matMul(a, b, false, true)],
    ['dy·B', 'GraftRankReduce', [TOKENS, wide], [wide, 5], (a, b) => tf.matMul(a, b)],
    ['h·Bᵀ', 'GraftRankUpdate', [TOKENS, 48], [wide, 48], (a, b) => tf.matMul(a, b, false, true)],
    ['dh·A', 'GraftRankUpdate', [TOKENS, 3], [3, wide], (a, b) => tf.matMul(a, b)],
    ['dhᵀx', 'GraftRankOuter', [TOKENS, 16], [TOKENS, wide], (a, b) => tf.matMul(a, b, true, false)],
    ['dyᵀh', 'GraftRankOuter', [TOKENS, wide], [TOKENS, 7], (a, b) => tf.matMul(a, b, true, false)],
  ];
  it.each(forms)('such as %s run in %s and give the result of a plain product', (_, op, a, b, body) => {
    const { run, nodes } = recorded({ a: { shape: a }, b: { shape: b } }, ({ a, b }) => [body(a as Tensor2D, b as Tensor2D)], precision);
    expect(nodes.map((node) => node.op)).toEqual([op]);
    for (const tokens of [1, 6, 100]) {
      tf.tidy(() => {
        const actual = (shape: number[]) => shape.map((size) => (size === TOKENS ? tokens : size));
        const [x, y] = [waves(actual(a), 1.3), waves(actual(b), 2.1)] as [Tensor2D, Tensor2D];
        expectClose(run({ a: x, b: y })[0]!, body(x, y), tolerance);
      });
    }
  });

  it('include what is added to them', () => {
    const body = ({ y, h, B }: Record<string, Tensor>) => [tf.add(y!, tf.matMul(h as Tensor2D, B as Tensor2D, false, true))];
    const { run, nodes } = recorded({ y: { shape: [TOKENS, wide] }, h: { shape: [TOKENS, 16] }, B: { shape: [wide, 16] } }, body);
    expect(nodes.map(({ op, inputs }) => [op, inputs.length])).toEqual([['GraftRankUpdate', 3]]);
    tf.tidy(() => {
      const feeds = { y: waves([40, wide], 1.3), h: waves([40, 16], 2.1), B: waves([wide, 16], 0.7) };
      expectClose(run(feeds)[0]!, body(feeds)[0]!);
    });
  });

  it('of one dy, with B and with h, come from one kernel', () => {
    const { run } = recorded({ dy: { shape: [TOKENS, wide] }, h: { shape: [TOKENS, 16] }, B: { shape: [wide, 16] } }, ({ dy, h, B }) =>
      expansionGradientKernel(dy as Tensor2D, h as Tensor2D, B as Tensor2D),
    );
    for (const tokens of [1, 40, 700]) {
      tf.tidy(() => {
        const [dy, h, B] = [waves([tokens, wide], 1.3), waves([tokens, 16], 2.1), waves([wide, 16], 0.7)] as [Tensor2D, Tensor2D, Tensor2D];
        const [dh, dB] = run({ dy, h, B });
        expectClose(dh!, tf.matMul(dy, B));
        expectClose(dB!, tf.matMul(dy, h, true, false));
      });
    }
  });

  it('do not include those of two wide matrices', () => {
    const { nodes } = recorded({ a: { shape: [TOKENS, wide] }, b: { shape: [wide, wide] } }, ({ a, b }) => [tf.matMul(a as Tensor2D, b as Tensor2D)]);
    expect(nodes.map(({ op }) => op)).toEqual(['BatchMatMulV2']);
  });
});

/** Joined columns of members with unequal ranks, in the order of layers: each member's are in several places. */
const FEW = [0, 0, 0, 1, 2, 2, 2, 2, 2, 0, 1, 1, 1, 4];
/** Eight members with rank 4 in three layers. */
const MANY = Array.from({ length: 96 }, (_, index) => Math.floor(index / 4) % 8);
/** Texts of 1 to 90 tokens, so that a block of 64 has several owners. The owner 3 has none of FEW, and -1 is nobody. */
const OWNER_OF_TEXT = [1, 0, -1, 2, 3, 1, 0];
const ownersOf = (tokens: number): number[] =>
  OWNER_OF_TEXT.flatMap((owner, text) => Array.from({ length: [90, 1, 7, 60, 20, 33, 2000][text]! }, () => owner)).slice(0, tokens);

describe.each(
  TOLERANCES.flatMap(([precision, tolerance]) => [FEW, MANY].map((columns) => [columns.length, precision, { columns, tolerance }] as const)),
)('products of tokens with their own of %i columns in %s', (rank, precision, { columns, tolerance }) => {
  const wide = 150;
  const shapes = { x: [TOKENS, wide], y: [TOKENS, wide], h: [TOKENS, rank], A: [rank, wide], B: [wide, rank], mask: [TOKENS, rank] };
  const names = Object.keys(shapes) as (keyof typeof shapes)[];
  const feeds = Object.fromEntries(names.map((name) => [name, { shape: shapes[name] }]));
  const asked = ({ x, y, h, A, B, owners }: Record<string, Tensor>): Tensor[] => {
    const [X, Y, H] = [x, y, h] as [Tensor2D, Tensor2D, Tensor2D];
    const own = { ofTokens: owners as Tensor1D, ofColumns: columns };
    return [
      ownReductionKernel(X, A as Tensor2D, own),
      ownUpdateKernel(H, A as Tensor2D, { ...own, transposed: false }),
      tf.add(Y, ownUpdateKernel(H, B as Tensor2D, { ...own, transposed: true })),
      ownOuterKernel(H, X, own),
      ...expansionGradientKernel(Y, H, B as Tensor2D, own),
    ];
  };
  const plain = ({ x, y, h, A, B, mask }: Record<string, Tensor>): Tensor[] => {
    const H: Tensor2D = tf.mul(h!, mask!);
    return [
      tf.mul(tf.matMul(x as Tensor2D, A as Tensor2D, false, true), mask!),
      tf.matMul(H, A as Tensor2D),
      tf.add(y!, tf.matMul(H, B as Tensor2D, false, true)),
      tf.matMul(H, x as Tensor2D, true, false),
      tf.mul(tf.matMul(y as Tensor2D, B as Tensor2D), mask!),
      tf.matMul(y as Tensor2D, H, true, false),
    ];
  };
  const given = (tokens: number, of = ownersOf(tokens)): Record<string, Tensor> => {
    const made = names.map((name, index) => {
      const shape = shapes[name].map((size) => (size === TOKENS ? tokens : size));
      return [name, waves(shape, 0.7 + index)] as const;
    });
    const mask = tf.tensor2d(
      of.flatMap((owner) => columns.map((column) => Number(column === owner))),
      [tokens, rank],
    );
    return { ...Object.fromEntries(made), mask, owners: tf.tensor1d(of, 'int32') };
  };
  const fed = { ...feeds, owners: { shape: [TOKENS], dtype: 'int32' as const } };

  it('give the result of a plain product in which all others are 0', () => {
    const { run } = recorded(fed, asked, precision);
    for (const tokens of [1, 98, 300, 1000]) {
      tf.tidy(() => {
        const inputs = given(tokens);
        const wanted = plain(inputs);
        for (const [index, got] of run(inputs).entries()) expectClose(got, wanted[index]!, tolerance);
      });
    }
  });

  it("leave out what others have in H, and others' infinities in the narrow matrix", () => {
    const { run } = recorded(fed, asked, precision);
    const [wild, tokens] = [1, 300];
    tf.tidy(() => {
      const inputs = given(tokens);
      const { h, A, B, mask } = inputs as Record<string, Tensor>;
      const isTame = columns.map((column) => column !== wild);
      const inRows = tf.tile(tf.tensor2d(isTame, [rank, 1], 'bool'), [1, wide]);
      const inColumns = tf.tile(tf.tensor2d(isTame, [1, rank], 'bool'), [wide, 1]);
      const infiniteUnless = (isKept: Tensor, x: Tensor): Tensor => tf.where(isKept, x, tf.fill(x.shape, Number.POSITIVE_INFINITY));
      const spoilt = { h: infiniteUnless(tf.cast(mask!, 'bool'), h!), A: infiniteUnless(inRows, A!), B: infiniteUnless(inColumns, B!) };
      const others = ownersOf(tokens).flatMap((owner, token) => (owner === wild ? [] : [token]));
      const ofOthers = (result: Tensor) => (result.shape[0] === tokens ? tf.gather(result, others) : result).dataSync();
      const wanted = run(inputs).map(ofOthers);
      expect(run({ ...inputs, ...spoilt }).map(ofOthers)).toEqual(wanted);
    });
  });

  it('are those of products without owners, bit for bit, where all have one', () => {
    const ofColumns = columns.map(() => 0);
    const body = ({ y, h, B, owners }: Record<string, Tensor>) => {
      const inputs = [y, h, B] as [Tensor2D, Tensor2D, Tensor2D];
      return [expansionGradientKernel(...inputs), expansionGradientKernel(...inputs, { ofTokens: owners as Tensor1D, ofColumns })].flat();
    };
    const { run } = recorded(fed, body, precision);
    tf.tidy(() => {
      const ofOne = Array.from({ length: 700 }, () => 0);
      const [dH, dB, dHOfOne, dBOfOne] = run(given(700, ofOne)).map((tensor) => tensor.dataSync());
      expect(dHOfOne).toEqual(dH);
      expect(dBOfOne).toEqual(dB);
    });
  });
});
