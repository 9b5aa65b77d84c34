/** A tuned model's weights, one at a time: those of its base with the adapter merged in, or its own. */
import { join } from 'node:path';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { linearLayers, weightShapes } from '../../../src/formats/module-shapes.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { loraScaling, peftName, targetedModules } from '../../../src/formats/tuning/lora.ts';
import { readAdapterConfig } from '../io/adapter.ts';
import { openSafetensors } from '../io/safetensors.ts';
import { openWeights, readModelConfig } from '../model/weights.ts';
import { adapterProblems } from '../proof/adapter-layout.ts';
import { tf } from '../tensorflow/tensorflow.ts';
import type { Merge } from '../tuning/method.ts';
import { methodOf, readAdapterTuning } from '../tuning/methods.ts';

/** What is exported. */
export interface TunedFiles {
  /** The base model's directory, or that of a fully tuned model. */
  modelDir: string;
  /** null for a fully tuned model. */
  adapterDir: string | null;
}

export interface MergedWeights {
  config: ModelConfig;
  /** By the checkpoint's names. */
  shapes: ReadonlyMap<string, readonly number[]>;
  /** @returns the weight in f32, which the caller owns. @throws Refusal `corrupt_model_file` for values that are not finite */
  read(name: string): Float32Array;
  close(): void;
}

/** One layer's matrices. */
export interface LoraMatrices {
  /** [r, in] */
  A: Float32Array;
  /** [out, r] */
  B: Float32Array;
  r: number;
}

export interface AdapterFile {
  r: number;
  /** The factor on B·A. */
  scaling: number;
  /** Names of the layers in the checkpoint. */
  modules: readonly string[];
  read(module: string): LoraMatrices;
  close(): void;
}

/** @throws Refusal `corrupt_model_file` when the adapter does not fit the model, `unsupported_adapter` when it is not plain LoRA */
export function openAdapter(adapterDir: string, { modelDir, config }: { modelDir: string; config: ModelConfig }): AdapterFile {
  const tuning = readAdapterConfig(adapterDir);
  const problems = adapterProblems(adapterDir, modelDir, tuning);
  if (problems.length > 0)
    throw new Refusal('corrupt_model_file', `the adapter does not fit its base model: ${problems.join('; ')}`, {
      param: 'model',
      hint: 'Was the base model replaced since the adapter was trained?',
    });
  const file = openSafetensors(join(adapterDir, ADAPTER_WEIGHTS_FILE));
  const floats = (name: string) => file.read(name).data as Float32Array;
  return {
    r: tuning.r,
    scaling: loraScaling(tuning),
    modules: targetedModules([...linearLayers(config).keys()], tuning.target_modules),
    read: (module) => ({ A: floats(peftName(module, 'A')), B: floats(peftName(module, 'B')), r: tuning.r }),
    close: () => file.close(),
  };
}

/** @throws Refusal `corrupt_model_file`, `unsupported_adapter` */
export function openMergedWeights({ modelDir, adapterDir }: TunedFiles): MergedWeights {
  const stored = openWeights(modelDir, readModelConfig(modelDir));
  const { config } = stored;
  const shapes = weightShapes(config);
  try {
    const merge = adapterDir === null ? null : openMerge(adapterDir, { modelDir, config });
    return {
      config,
      shapes,
      read(name) {
        const values = new Float32Array(shapes.get(name)!.reduce((product, size) => product * size, 1));
        stored.readInto(name, values);
        return merge?.merged(name, values) ?? values;
      },
      close() {
        stored.close();
        merge?.close();
      },
    };
  } catch (error) {
    stored.close();
    throw error;
  }
}

function openMerge(adapterDir: string, base: { modelDir: string; config: ModelConfig }): Merge {
  const { adapter } = methodOf(readAdapterTuning(adapterDir));
  return adapter?.openMerge?.(adapterDir, base) ?? openLoraMerge(adapterDir, base);
}

function openLoraMerge(adapterDir: string, base: { modelDir: string; config: ModelConfig }): Merge {
  const adapter = openAdapter(adapterDir, base);
  const tuned = new Map(adapter.modules.map((module) => [`${module}.weight`, module]));
  return {
    merged(name, values) {
      const module = tuned.get(name);
      if (module === undefined) return values;
      return merged(values, adapter.read(module), { scaling: adapter.scaling, inputFirst: base.config.inputFirst });
    },
    close: () => adapter.close(),
  };
}

/**
 * W + s·B·A in f32, as PEFT's `merge_and_unload`.
 * @param W [out, in], or [in, out] if `inputFirst`
 */
function merged(W: Float32Array, { A, B, r }: LoraMatrices, { scaling, inputFirst }: { scaling: number; inputFirst: boolean }): Float32Array {
  const [input, out] = [A.length / r, B.length / r];
  return tf.tidy(() => {
    const [a, b] = [tf.tensor2d(A, [r, input]), tf.tensor2d(B, [out, r])];
    const update = inputFirst ? tf.matMul(a, b, true, true) : tf.matMul(b, a);
    const base = tf.tensor2d(W, inputFirst ? [input, out] : [out, input]);
    return tf.add(base, tf.mul(update, scaling)).dataSync() as Float32Array;
  });
}
