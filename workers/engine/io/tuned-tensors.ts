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
    for (const name of weightShapes(stored.config).keys()) {
      for (const { name: delivered, shape, first } of stored.delivered(name)) {
        const size = shapeSize(shape);
        tensors.set(delivered, {
          shape,
          get data() {
            const values = trained.get(name)?.data;
            if (values !== undefined) return values.subarray(first, first + size);
            const held = new Float32Array(size);
            stored.readInto(name, held, first);
            return held;
          },
        });
      }
    }
    use({ tensors, copied: stored.otherTowers });
  } finally {
    stored.close();
  }
}
