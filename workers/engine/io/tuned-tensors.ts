/** A tuned model's weights: those that were trained, and from the base's files the others, each read when it is asked for. */
import { weightShapes } from '../../../src/formats/module-shapes.ts';
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
    const tensors = [...weightShapes(stored.config)].map(([name, shape]): [string, TensorValues] => {
      const values = trained.get(name);
      if (values !== undefined) return [stored.deliveredName(name), values];
      const frozen: TensorValues = {
        shape,
        get data() {
          const held = new Float32Array(shape.reduce((product, length) => product * length, 1));
          stored.readInto(name, held);
          return held;
        },
      };
      return [stored.deliveredName(name), frozen];
    });
    use({ tensors: new Map(tensors), copied: stored.otherTowers });
  } finally {
    stored.close();
  }
}
