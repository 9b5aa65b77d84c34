import { describe, expect, it } from 'vitest';
import { distillationLoss } from '../../../../workers/engine/objectives/distillation-loss.ts';
import { type Tensor2D, tf, type Variable } from '../../../../workers/engine/tensorflow/tensorflow.ts';

// Three tokens to learn, a vocabulary of four; the second token has no teacher.
const states = [
  [1, -0.5],
  [2, 0.25],
  [-3, 1],
];
const head = [
  [0.5, -1],
  [1.5, 0.25],
  [-2, 0.75],
  [0.25, 0.5],
];
const targets = [1, 0, 2];
const weights = [0.5, 2, 1];
const teacher: Map<number, number>[] = [
  new Map([
    [1, 0.75],
    [3, 0.25],
  ]),
  new Map(),
  new Map([[2, 1]]),
]; // prettier-ignore
const LISTED = 2;

interface Settings {
  kd: number;
  ce: number;
  temperature: number;
  softCap: number | null;
}

/** The definition, in double precision; gradients by central differences. */
function lossAt(h: number[][], W: number[][], { kd, ce, temperature: T, softCap }: Settings): number {
  let loss = 0;
  for (const [token, [x, y]] of (h as [number, number][]).entries()) {
    const z = W.map((w) => w[0]! * x + w[1]! * y).map((one) => (softCap === null ? one : softCap * Math.tanh(one / softCap)));
    const logP = (scale: number) => {
      const total = Math.log(z.reduce((sum, one) => sum + Math.exp(one / scale), 0));
      return z.map((one) => one / scale - total);
    };
    const divergence = [...teacher[token]!].reduce((sum, [id, p]) => sum + p * (Math.log(p) - logP(T)[id]!), 0);
    const own = teacher[token]!.size === 0 ? ce + kd : ce;
    loss += weights[token]! * (kd * T ** 2 * divergence - own * logP(1)[targets[token]!]!);
  }
  return loss;
}

function slopes(of: number[][], loss: (moved: number[][]) => number): number[] {
  const step = 1e-5;
  return of.flatMap((row, i) =>
    row.map((_, j) => {
      const moved = (by: number) => loss(of.map((each, at) => (at === i ? each.map((value, column) => (column === j ? value + by : value)) : each)));
      return (moved(step) - moved(-step)) / (2 * step);
    }),
  );
}

function computed(settings: Settings, sizes: number[]) {
  return tf.tidy(() => {
    const [hidden, W] = [tf.variable(tf.tensor2d(states)), tf.variable(tf.tensor2d(head))] as [Variable, Variable];
    const rows = sizes.flatMap((size) => Array.from({ length: size }, (_, row) => row));
    const ids = targets.map((target, token) => [target, [...teacher[token]!.keys()].find((id) => id !== target) ?? target]);
    const probabilities = ids.map((row, token) => row.map((id, column) => (column > 0 && id === row[0] ? 0 : (teacher[token]!.get(id) ?? 0))));
    const given = {
      states: hidden as unknown as Tensor2D,
      head: W as unknown as Tensor2D,
      targets: tf.tensor1d(targets, 'int32'),
      weights: tf.tensor1d(weights),
      partSizes: tf.tensor1d(sizes, 'int32'),
      ids: tf.tensor2d(ids, undefined, 'int32'),
      places: tf.tensor3d(
        ids.map((row, token) => row.map((id) => [rows[token]!, id])),
        [targets.length, LISTED, 2],
        'int32',
      ),
      isTarget: tf.tensor2d(targets.map(() => [1, 0])),
      probabilities: tf.tensor2d(probabilities),
      certainties: tf.tensor1d(probabilities.map((row) => row.reduce((sum, p) => sum + (p === 0 ? 0 : p * Math.log(p)), 0))),
      taught: tf.tensor1d(teacher.map(({ size }) => Math.min(size, 1))),
    };
    const plain = distillationLoss(given, { ...settings, withGradient: false }).loss.dataSync()[0]!;
    const { value, grads } = tf.variableGrads(() => {
      const { loss, ...others } = distillationLoss(given, { ...settings, withGradient: true });
      tf.dispose(others);
      return loss;
    }, [hidden, W]);
    const read = (variable: Variable) => [...grads[variable.name]!.dataSync()];
    const result = { plain, loss: value.dataSync()[0]!, gradients: [...read(hidden), ...read(W)] };
    tf.dispose([hidden, W]);
    return result;
  });
}

describe('the loss of distillation', () => {
  it.each([
    [{ kd: 0.9, ce: 0.1, temperature: 1, softCap: null }, [2, 1]],
    [{ kd: 0.6, ce: 0.3, temperature: 2.5, softCap: null }, [3, 0]],
    [{ kd: 1, ce: 0, temperature: 0.5, softCap: 2 }, [1, 2]],
    [{ kd: 0, ce: 1, temperature: 1, softCap: null }, [2, 1]],
  ])('with %j in parts of %j tokens › is what its definition says, and so are its gradients', (settings, sizes) => {
    const before = tf.memory().numTensors;
    const { plain, loss, gradients } = computed(settings, sizes);
    const expected = lossAt(states, head, settings);
    expect(loss).toBeCloseTo(expected, 5);
    expect(plain).toBeCloseTo(expected, 5);
    const wanted = [...slopes(states, (moved) => lossAt(moved, head, settings)), ...slopes(head, (moved) => lossAt(states, moved, settings))];
    for (const [index, value] of gradients.entries()) expect(value).toBeCloseTo(wanted[index]!, 4);
    expect(tf.memory().numTensors).toBe(before);
  });
});
