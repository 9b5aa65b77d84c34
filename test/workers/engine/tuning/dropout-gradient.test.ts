import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { type EagerModel, openEagerForTraining } from '../../../../workers/engine/eager/eager-model.ts';
import { type Tensor, tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

const name = 'llama-gqa-tied';
const tuning = { type: 'lora', r: 4, lora_alpha: 8, lora_dropout: 0.4, target_modules: 'all-linear', use_rslora: false } as const;
const POSITION = { seed: 5, step: 3, microBatch: 1 };
/** Distance along the direction. The loss is a sum over 28 tokens, and its f32 rounding shows below this. */
const STEP = 2e-3;

let model: EagerModel;
beforeAll(() => {
  model = openEagerForTraining({ modelDir: referencePath('cases', name, 'model'), tuning, seed: 9 });
  let seed = 0;
  for (const variable of model.trainable.values()) {
    seed += 1;
    tf.tidy(() => variable.assign(tf.randomNormal(variable.shape, 0, 0.15, 'float32', seed)));
  }
});
afterAll(() => model.dispose());

function lossSum(): number {
  const { sums, gradients } = model.gradients(referenceBatch(name), POSITION);
  tf.dispose([...gradients.values()]);
  return sums.loss;
}

function move(direction: ReadonlyMap<string, Tensor>, distance: number): void {
  for (const [parameter, variable] of model.trainable) {
    tf.tidy(() => variable.assign(tf.add(variable, tf.mul(direction.get(parameter)!, distance))));
  }
}

describe('the gradient with dropout', () => {
  it.each(['lora_A', 'lora_B'])('of every %s is the slope of the loss with the same elements dropped', (matrix) => {
    const { gradients } = model.gradients(referenceBatch(name), POSITION);
    const chosen = [...gradients.keys()].filter((parameter) => parameter.includes(matrix));
    const norm = Math.sqrt(chosen.reduce((sum, parameter) => sum + tf.tidy(() => tf.sum(tf.square(gradients.get(parameter)!)).dataSync()[0]!), 0));
    // Along the gradient of these matrices alone, the slope is the norm itself.
    const direction = new Map(
      [...gradients].map(([parameter, gradient]) => [parameter, tf.mul(gradient, parameter.includes(matrix) ? 1 / norm : 0)]),
    );
    move(direction, STEP);
    const above = lossSum();
    move(direction, -2 * STEP);
    const below = lossSum();
    move(direction, STEP);
    expect(Math.abs((above - below) / (2 * STEP) - norm) / norm).toBeLessThanOrEqual(1e-3);
    tf.dispose([...gradients.values(), ...direction.values()]);
  });
});
