/** A tuned model's weights: those that were trained, and from the base's files the others, each read when it is asked for. */
import { weightShapes } from '../../../src/formats/module-shapes.ts';
import { openWeights, readModelConfig } from '../model/weights.ts';
import type { TensorValues } from '../tuning/tuned-model.ts';

/** @param use must read the tensors before it returns */
export function withAllTensors(
  trained: ReadonlyMap<string, TensorValues>,
  baseDir: string,
  use: (tensors: ReadonlyMap<string, TensorValues>) => void,
): void {
  const stored = openWeights(baseDir, readModelConfig(baseDir));
  try {
    const tensors = [...weightShapes(stored.config)].map(([name, shape]): [string, TensorValues] => {
      const values = trained.get(name);
      if (values !== undefined) return [name, values];
      const frozen: TensorValues = {
        shape,
        get data() {
          const held = new Float32Array(shape.reduce((product, length) => product * length, 1));
          stored.readInto(name, held);
          return held;
        },
      };
      return [name, frozen];
    });
    use(new Map(tensors));
  } finally {
    stored.close();
  }
}
