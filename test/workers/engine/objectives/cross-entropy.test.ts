import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../../reference/fixtures.ts';
import { crossEntropy, partSizes } from '../../../../workers/engine/objectives/cross-entropy.ts';
import { type Scalar, type Tensor2D, tf, type Variable } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const HIDDEN = 2;
// Five positions and three tokens, of two numbers each.
const states = [
  [1, -0.5],
  [2, 0.25],
  [-3, 1],
  [0, 0],
  [0.5, 4],
];
const head = [
  [0.5, -1],
  [1.5, 0.25],
  [-2, 0.75],
];
const targetIds = Int32Array.of(1, 0, 2, 1, 2);

/** The definition, in double precision: −log softmax(h·Wᵀ)[target], and p − onehot through both factors. */
function byDefinition() {
  const byStates = states.map(() => [0, 0]);
  const byHead = head.map(() => [0, 0]);
  let lossSum = 0;
  let correct = 0;
  for (const [position, h] of states.entries()) {
    const logits = head.map((w) => w[0]! * h[0]! + w[1]! * h[1]!);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const target = targetIds[position]!;
    lossSum += Math.log(total) - logits[target]!;
    if (logits.indexOf(Math.max(...logits)) === target) correct += 1;
    for (const [token, logit] of logits.entries()) {
      const slope = Math.exp(logit) / total - (token === target ? 1 : 0);
      for (let i = 0; i < HIDDEN; i++) {
        byStates[position]![i]! += slope * head[token]![i]!;
        byHead[token]![i]! += slope * h[i]!;
      }
    }
  }
  return { lossSum, correct, byStates: byStates.flat(), byHead: byHead.flat() };
}

function withGradients(hidden: Variable, weights: Tensor2D | Variable, sizes: number[]) {
  const targets = tf.tensor1d(targetIds, 'int32');
  const parts = tf.tensor1d(sizes, 'int32');
  const trained = weights instanceof tf.Variable ? [hidden, weights as Variable] : [hidden];
  let correct: Scalar | undefined;
  const { value, grads } = tf.variableGrads(() => {
    const predictions = { states: hidden as unknown as Tensor2D, head: weights as Tensor2D, targets, partSizes: parts };
    const losses = crossEntropy(predictions, { withGradient: true });
    correct = losses.correct;
    return losses.lossSum;
  }, trained);
  const read = (variable: Variable) => grads[variable.name]!.dataSync().slice();
  const answer = { lossSum: value.dataSync()[0]!, correct: correct!.dataSync()[0]!, gradients: trained.map(read) };
  tf.dispose([targets, parts, value, correct!, ...Object.values(grads)]);
  return answer;
}

describe('partSizes', () => {
  it.each([
    [1000, { vocabSize: 50_000, trainedHead: false }, 16, [335, 335, 330, 0]],
    [16 * 335 + 1, { vocabSize: 50_000, trainedHead: false }, 16, [336, 336]],
    [1000, { vocabSize: 50_000, trainedHead: true }, 2, [500, 500]],
    [0, { vocabSize: 50_000, trainedHead: false }, 16, [0, 0]],
    [3, { vocabSize: 1e9, trainedHead: false }, 16, [1, 1, 1, 0]],
  ])('of %i tokens under %j are %i, of which the first are %j, and cover them all', (tokens, head, count, first) => {
    const sizes = [...partSizes(tokens, head)];
    expect(sizes).toHaveLength(count);
    expect(sizes.slice(0, first.length)).toEqual(first);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(tokens);
  });
});

describe.each([[[5]], [[2, 2, 1]], [[1, 0, 3, 1, 0]]])('crossEntropy › in parts of %j', (sizes) => {
  const expected = byDefinition();

  it('is the sum of −log softmax at the targets, and so are its gradients, by the head too when it is trained', () => {
    const before = tf.memory().numTensors;
    const [hidden, weights] = tf.tidy(() => [tf.variable(tf.tensor2d(states)), tf.variable(tf.tensor2d(head))]) as [Variable, Variable];
    const { lossSum, correct, gradients } = withGradients(hidden, weights, sizes);
    expect(Math.abs(lossSum - expected.lossSum)).toBeLessThanOrEqual(1e-5);
    expect(correct).toBe(expected.correct);
    expect(largestDifference(gradients[0]!, expected.byStates)).toBeLessThanOrEqual(1e-6);
    expect(largestDifference(gradients[1]!, expected.byHead)).toBeLessThanOrEqual(1e-6);
    tf.dispose([hidden, weights]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('of a frozen head has the gradient by the states alone', () => {
    const before = tf.memory().numTensors;
    const hidden = tf.tidy(() => tf.variable(tf.tensor2d(states)));
    const weights = tf.tensor2d(head);
    const { gradients } = withGradients(hidden, weights, sizes);
    expect(gradients).toHaveLength(1);
    expect(largestDifference(gradients[0]!, expected.byStates)).toBeLessThanOrEqual(1e-6);
    tf.dispose([hidden, weights]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('without gradients is the same', () => {
    const before = tf.memory().numTensors;
    const predictions = {
      states: tf.tensor2d(states),
      head: tf.tensor2d(head),
      targets: tf.tensor1d(targetIds, 'int32'),
      partSizes: tf.tensor1d(sizes, 'int32'),
    };
    const { lossSum, correct } = crossEntropy(predictions, { withGradient: false });
    expect(Math.abs(lossSum.dataSync()[0]! - expected.lossSum)).toBeLessThanOrEqual(1e-5);
    expect(correct.dataSync()[0]).toBe(expected.correct);
    tf.dispose([...Object.values(predictions), lossSum, correct]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
