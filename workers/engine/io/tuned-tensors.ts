/** A tuned model's weights: those that were trained, and from the base's files the others, each read when it is asked for. */
import { weightShapes } from '../../../src/formats/module-shapes.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { openWeights, readModelConfig } from '../model/weights.ts';
import type { TensorValues } from '../tuning/tuned-model.ts';
import type { CopiedTensor } from './safetensors.ts';

interface AllTensors {
  /** By their names in the delivered file. */
  tensors: ReadonlyMap<string, TensorValues>;
  /** The weights of a multimodal model's other towers. */
  copied: ReadonlyMap<string, CopiedTensor>;
}

/** @param use must read the tensors before it returns */
export function withAllTensors(trained: ReadonlyMap<string, TensorValues>, baseDir: string, use: (all: AllTensors) => void): void {
  const stored = openWeights(baseDir, readModelConfig(baseDir));
  try {
    const tensors = new Map<string, TensorValues>();
    for (const [name, shape] of weightShapes(stored.config)) {
      const read = (): Float32Array => {
        const held = new Float32Array(shapeSize(shape));
        stored.readInto(name, held);
        return held;
      };
      let first = 0;
      for (const part of stored.delivered(name)) {
        const begin = first;
        first += shapeSize(part.shape);
        tensors.set(part.name, {
          shape: part.shape,
          get data() {
            return (trained.get(name)?.data ?? read()).subarray(begin, begin + shapeSize(part.shape));
          },
        });
      }
    }
    use({ tensors, copied: stored.otherTowers });
  } finally {
    stored.close();
  }
}
