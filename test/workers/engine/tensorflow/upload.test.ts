import { expect, it } from 'vitest';
import { backend } from '../../../../workers/engine/tensorflow/backend.ts';
import { tf } from '../../../../workers/engine/tensorflow/tensorflow.ts';

it("a tensor that TensorFlow has is a copy: an array that changes afterwards does not change it, whatever the array's alignment", () => {
  // Some of many small arrays lie where TensorFlow could use them in place.
  const arrays = Array.from({ length: 2_000 }, (_, index) => new Float32Array(16 + (index % 8) * 4).fill(1));
  const tensors = arrays.map((array) => tf.tensor1d(array));
  backend.getInputTensorIds(tensors); // copies their values to TensorFlow now
  for (const array of arrays) array.fill(2);
  expect(tensors.filter((tensor) => tensor.dataSync()[0] !== 1)).toHaveLength(0);
  tf.dispose(tensors);
});
