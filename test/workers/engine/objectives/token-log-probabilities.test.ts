import { describe, expect, it } from 'vitest';
import { tokenLogProbabilities } from '../../../../workers/engine/objectives/token-log-probabilities.ts';
import { gradientsFlowInto } from '../../../../workers/engine/tensorflow/differentiable.ts';
import { type Tensor2D, tf, type Variable } from '../../../../workers/engine/tensorflow/tensorflow.ts';

/** [tokens, hidden], [vocabulary, hidden] */
const states = [
  [1, -0.5],
  [2, 0.25],
  [-3, 1],
];
const head = [
  [0.5, -1],
  [1.5, 0.25],
  [-2, 0.75],
];
const targets = [1, 0, 2];

/** The definition, in double precision: of Σ log softmax(h·Wᵀ)[target], the gradient through the head, (onehot − p)·h. */
function byDefinition(): number[] {
  const dHead = head.map(() => [0, 0]);
  for (const [position, [x, y]] of (states as [number, number][]).entries()) {
    const logits = head.map((w) => w[0]! * x + w[1]! * y);
    const total = logits.reduce((sum, logit) => sum + Math.exp(logit), 0);
    for (const [token, logit] of logits.entries()) {
      const slope = (token === targets[position] ? 1 : 0) - Math.exp(logit) / total;
      dHead[token]![0]! += slope * x;
      dHead[token]![1]! += slope * y;
    }
  }
  return dHead.flat();
}

/** @param headOf the head, from a variable with its values. @returns the gradient of the sum through that variable */
function gradientThrough(headOf: (variable: Variable) => Tensor2D): number[] {
  return tf.tidy(() => {
    const variable = tf.variable(tf.tensor2d(head));
    const { grads } = tf.variableGrads(() => {
      const predictions = {
        states: tf.tensor2d(states),
        head: headOf(variable),
        targets: tf.tensor1d(targets, 'int32'),
        partSizes: tf.tensor1d([2, 1], 'int32'),
      };
      return tf.sum(tokenLogProbabilities(predictions, { withGradient: true, softCap: null }).logProbabilities);
    }, [variable]);
    const gradient = [...grads[variable.name]!.dataSync()];
    variable.dispose();
    return gradient;
  });
}

describe('tokenLogProbabilities', () => {
  it.each([
    ['that is trained', (variable: Variable) => variable as unknown as Tensor2D],
    ['that is computed from what is trained', (variable: Variable) => gradientsFlowInto(tf.mul(variable as unknown as Tensor2D, 1) as Tensor2D)],
  ])('with a head %s › gives its gradient', (_, headOf) => {
    const expected = byDefinition();
    for (const [index, value] of gradientThrough(headOf).entries()) expect(value).toBeCloseTo(expected[index]!, 6);
  });
});
