/** The model on which Graft and its peers are measured: of SmolLM2-135M's shape with random weights, unless another shape or a model is asked for. */
import type { Precision } from '../src/formats/hyperparameters.ts';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { CompiledModel, type CompileOptions } from '../workers/engine/compiled/compiled-model.ts';
import { convertInto } from '../workers/engine/io/float-formats.ts';
import { weightShapes } from '../workers/engine/model/module-shapes.ts';
import { openWeights, readModelConfig } from '../workers/engine/model/weights.ts';
import { supervised } from '../workers/engine/objectives/supervised.ts';
import { configJson, type Shape, SMOLLM2_135M } from './smollm-shapes.ts';

function randomModel(shape: Shape) {
  const config = parseModelConfig(configJson(shape), shape);
  const shapes = weightShapes(config);
  /** Norms' are ones, all others small. */
  const readWeight: CompileOptions['readWeight'] = (name, held) => {
    const values = new Float32Array(held.length);
    if (shapes.get(name)!.length === 1) values.fill(1);
    else {
      let state = values.length;
      for (let i = 0; i < values.length; i++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' generator: quick, and good enough to be multiplied
        values[i] = (state / 2 ** 31 - 1) * 0.035;
      }
    }
    convertInto(new Uint8Array(values.buffer), 'F32', held);
  };
  return { config, readWeight };
}

/** @throws Error when it is neither */
export function precisionOf(asked: string): Precision {
  if (asked !== 'f32' && asked !== 'bf16') throw new Error(`--precision is "${asked}"; it takes f32 or bf16`);
  return asked;
}

type BenchOptions = Pick<CompileOptions, 'tuning' | 'precision' | 'learning'> & {
  /** Of a model with random weights. */
  shape?: Shape;
};

/** @param modelDir of a Hugging Face model */
export function openBenchModel(modelDir: string | undefined, { shape = SMOLLM2_135M, ...options }: BenchOptions): CompiledModel {
  const common = { ...options, objective: supervised, heldIn: options.precision, seed: 0 };
  if (modelDir === undefined) return new CompiledModel({ ...common, ...randomModel(shape) });
  const config = readModelConfig(modelDir);
  const stored = openWeights(modelDir, config);
  try {
    return new CompiledModel({ ...common, config, readWeight: stored.readInto });
  } finally {
    stored.close();
  }
}
