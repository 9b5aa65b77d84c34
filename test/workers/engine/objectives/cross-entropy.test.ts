import { describe, expect, it } from 'vitest';
import { largestDifference } from '../../../../reference/fixtures.ts';
import { crossEntropy, partSizes } from '../../../../workers/engine/objectives/cross-entropy.ts';
import { type Scalar, type Tensor2D, tf, type Variable } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const HIDDEN = 2;
// Five positions and three tokens, each a vector of two numbers.
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
const ONES = [1, 1, 1, 1, 1];
/** Exact in f32. */
const UNEVEN = [0.5, 2, 1, 0.25, 0];

/** The definition, in double precision: −w·log softmax(h·Wᵀ)[target], and its gradient, w·(p − onehot) through both factors. */
function byDefinition(weights: readonly number[]) {
  const dStates = states.map(() => [0, 0]);
  const dHead = head.map(() => [0, 0]);
  let loss = 0;
  let correct = 0;
  for (const [position, h] of states.entries()) {
    const logits = head.map((w) => w[0]! * h[0]! + w[1]! * h[1]!);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    const target = targetIds[position]!;
    loss += weights[position]! * (Math.log(total) - logits[target]!);
    if (logits.indexOf(Math.max(...logits)) === target) correct += 1;
    for (const [token, logit] of logits.entries()) {
      const slope = weights[position]! * (Math.exp(logit) / total - (token === target ? 1 : 0));
      for (let i = 0; i < HIDDEN; i++) {
        dStates[position]![i]! += slope * head[token]![i]!;
        dHead[token]![i]! += slope * h[i]!;
      }
    }
  }
  return { loss, correct, dStates: dStates.flat(), dHead: dHead.flat() };
}

/** The feeds besides the states and the head. */
const feedsFor = (weights: readonly number[], sizes: readonly number[]) => ({
  targets: tf.tensor1d(targetIds, 'int32'),
  weights: tf.tensor1d([...weights]),
  partSizes: tf.tensor1d([...sizes], 'int32'),
});

function withGradients(hidden: Variable, head: Tensor2D | Variable, feeds: ReturnType<typeof feedsFor>) {
  const trained = head instanceof tf.Variable ? [hidden, head as Variable] : [hidden];
  let correct: Scalar | undefined;
  const { value, grads } = tf.variableGrads(() => {
    const predictions = { states: hidden as unknown as Tensor2D, head: head as Tensor2D, ...feeds };
    const losses = crossEntropy(predictions, { withGradient: true });
    correct = losses.correct;
    return losses.loss;
  }, trained);
  const read = (variable: Variable) => grads[variable.name]!.dataSync().slice();
  const result = { loss: value.dataSync()[0]!, correct: correct!.dataSync()[0]!, gradients: trained.map(read) };
  tf.dispose([...Object.values(feeds), value, correct!, ...Object.values(grads)]);
  return result;
}

describe('partSizes', () => {
  it.each([
    [1000, { vocabSize: 50_000, parts: 16 }, [335, 335, 330, 0]],
    [16 * 335 + 1, { vocabSize: 50_000, parts: 16 }, [336, 336]],
    [1000, { vocabSize: 50_000, parts: 2 }, [500, 500]],
    [0, { vocabSize: 50_000, parts: 16 }, [0, 0]],
    [3, { vocabSize: 1e9, parts: 16 }, [1, 1, 1, 0]],
  ])('for %i tokens and %j begins with %j and sums to the number of tokens', (tokens, head, first) => {
    const sizes = [...partSizes(tokens, head)];
    expect(sizes).toHaveLength(head.parts);
    expect(sizes.slice(0, first.length)).toEqual(first);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(tokens);
  });
});

describe.each([
  [[5], ONES],
  [[2, 2, 1], ONES],
  [[1, 0, 3, 1, 0], ONES],
  [[2, 2, 1], UNEVEN],
])('crossEntropy › in parts of %j with weights %j', (sizes, weights) => {
  const expected = byDefinition(weights);

  it('is the weighted sum of −log softmax at the targets, with gradients for the states and a trained head', () => {
    const before = tf.memory().numTensors;
    const [hidden, trainedHead] = tf.tidy(() => [tf.variable(tf.tensor2d(states)), tf.variable(tf.tensor2d(head))]) as [Variable, Variable];
    const { loss, correct, gradients } = withGradients(hidden, trainedHead, feedsFor(weights, sizes));
    expect(Math.abs(loss - expected.loss)).toBeLessThanOrEqual(1e-5);
    expect(correct).toBe(expected.correct);
    expect(largestDifference(gradients[0]!, expected.dStates)).toBeLessThanOrEqual(1e-6);
    expect(largestDifference(gradients[1]!, expected.dHead)).toBeLessThanOrEqual(1e-6);
    tf.dispose([hidden, trainedHead]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('with a frozen head has a gradient for the states alone', () => {
    const before = tf.memory().numTensors;
    const hidden = tf.tidy(() => tf.variable(tf.tensor2d(states)));
    const frozenHead = tf.tensor2d(head);
    const { gradients } = withGradients(hidden, frozenHead, feedsFor(weights, sizes));
    expect(gradients).toHaveLength(1);
    expect(largestDifference(gradients[0]!, expected.dStates)).toBeLessThanOrEqual(1e-6);
    tf.dispose([hidden, frozenHead]);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('without gradients gives the same loss', () => {
    const before = tf.memory().numTensors;
    const predictions = { states: tf.tensor2d(states), head: tf.tensor2d(head), ...feedsFor(weights, sizes) };
    const { loss, correct } = crossEntropy(predictions, { withGradient: false });
    expect(Math.abs(loss.dataSync()[0]! - expected.loss)).toBeLessThanOrEqual(1e-5);
    expect(correct.dataSync()[0]).toBe(expected.correct);
    tf.dispose([...Object.values(predictions), loss, correct]);
    expect(tf.memory().numTensors).toBe(before);
  });
});
