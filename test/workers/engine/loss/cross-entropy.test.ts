import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crossEntropy } from '../../../../workers/engine/loss/cross-entropy.ts';
import { type Scalar, type Tensor2D, tf, type Variable } from '../../../../workers/engine/tensorflow.ts';
import { largest, largestDifference } from '../reference.ts';

const VOCABULARY = 400;
const HIDDEN = 4;
/** More than 16 Mi logits: the head takes them in two parts. */
const POSITIONS = 44_000;
const HALF = POSITIONS / 2;

let before = 0;
let states: Variable;
let head: Variable;
const targets = Int32Array.from({ length: POSITIONS }, (_, position) => (position * 7919) % VOCABULARY);

beforeEach(() => {
  before = tf.memory().numTensors;
  states = tf.tidy(() => tf.variable(tf.randomUniform([POSITIONS, HIDDEN], -3, 3, 'float32', 3)));
  head = tf.tidy(() => tf.variable(tf.randomUniform([VOCABULARY, HIDDEN], -1, 1, 'float32', 4)));
});
afterEach(() => {
  tf.dispose([states, head]);
  expect(tf.memory().numTensors).toBe(before);
});

interface Answer {
  lossSum: number;
  correct: number;
  byStates: Float32Array;
  byHead: Float32Array;
}

function ask(first: number, count: number): Answer {
  return tf.tidy(() => {
    let correct: Scalar | undefined;
    const { value, grads } = tf.variableGrads(() => {
      const part = { states: tf.slice(states as unknown as Tensor2D, [first, 0], [count, HIDDEN]), targets: targets.subarray(first, first + count) };
      const losses = crossEntropy({ ...part, head: head as unknown as Tensor2D }, true);
      correct = losses.correct;
      return losses.lossSum;
    }, [states, head]);
    const answer = { lossSum: value.dataSync()[0]!, correct: correct!.dataSync()[0]! };
    correct!.dispose();
    return { ...answer, byStates: grads[states.name]!.dataSync() as Float32Array, byHead: grads[head.name]!.dataSync() as Float32Array };
  }) as unknown as Answer;
}

const sum = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, i) => value + b[i]!);

describe('crossEntropy › of more logits than are held at once', () => {
  it('is the sum of its halves, and so are its gradients', () => {
    const whole = ask(0, POSITIONS);
    const [left, right] = [ask(0, HALF), ask(HALF, HALF)];
    const wantedLoss = left.lossSum + right.lossSum;
    expect(Math.abs(whole.lossSum - wantedLoss) / wantedLoss).toBeLessThanOrEqual(1e-6);
    expect(whole.correct).toBe(left.correct + right.correct);
    for (const by of ['byStates', 'byHead'] as const) {
      const wanted = sum(left[by], right[by]);
      expect(largestDifference(whole[by], wanted) / largest(wanted), by).toBeLessThanOrEqual(1e-5);
    }
    const withoutGradient = tf.tidy(() =>
      crossEntropy({ states: states as unknown as Tensor2D, head: head as unknown as Tensor2D, targets }, false).lossSum.dataSync(),
    ) as unknown as Float32Array;
    expect(Math.abs(withoutGradient[0]! - wantedLoss) / wantedLoss).toBeLessThanOrEqual(1e-6);
  });

  it('of a head that says nothing is the logarithm of the vocabulary for each', () => {
    head.assign(tf.tidy(() => tf.zerosLike(head)));
    const { lossSum } = ask(0, POSITIONS);
    expect(Math.abs(lossSum / POSITIONS - Math.log(VOCABULARY))).toBeLessThanOrEqual(1e-5);
  });
});
