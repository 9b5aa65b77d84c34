/** A tuned model's weights, one at a time: those of its base with the adapter merged in, or its own. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { weightShapes } from '../../../src/formats/module-shapes.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { magnitudeName, peftName } from '../../../src/formats/tuning/lora.ts';
import type { LoraLayer } from '../../../src/formats/tuning/lora-layers.ts';
import { checkLora } from '../../../src/formats/tuning/lora-refusals.ts';
import { trainedWeights } from '../../../src/formats/tuning/lora-weights.ts';
import { readAdapterConfig } from '../io/adapter.ts';
import { openWeights, readModelConfig, type StoredWeights } from '../model/weights.ts';
import { adapterProblems } from '../proof/adapter-layout.ts';
import { openUnless } from '../proof/adapter-shapes.ts';
import { type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';
import type { LowRankProduct, Merge } from '../tuning/method.ts';
import { methodOf, readAdapterTuning } from '../tuning/methods.ts';

/** What is exported. */
export interface TunedFiles {
  /** The base model's directory, or that of a fully tuned model. */
  modelDir: string;
  /** null for a fully tuned model. */
  adapterDir: string | null;
}

export interface MergedWeights extends Pick<StoredWeights, 'delivered' | 'otherTowers'> {
  config: ModelConfig;
  /** By the checkpoint's names. */
  shapes: ReadonlyMap<string, readonly number[]>;
  /** @returns the weight in f32, which the caller owns. @throws Refusal `corrupt_model_file` for values that are not finite */
  read(name: string): Float32Array;
  /** What the adapter adds to a weight, where that is a product of two matrices and nothing else. */
  product(name: string): LowRankProduct | null;
  close(): void;
}

/** One layer's matrices. */
export interface LoraMatrices extends Pick<LoraLayer, 'kind' | 'experts'> {
  /** [r, in] */
  A: Float32Array;
  /** [out, r] */
  B: Float32Array;
  r: number;
  /** The factor on B·A. */
  scaling: number;
  /** [out], DoRA's; null without it. */
  magnitude: Float32Array | null;
}

export interface AdapterFile {
  /** Names of the layers in the checkpoint. */
  modules: readonly string[];
  read(module: string): LoraMatrices;
  /** The weight that a layer's matrices change. */
  weightOf(module: string): string;
  /** Weights of the base that were trained themselves. @returns null for others */
  whole(name: string): Float32Array | null;
  /** What the adapter has beyond A and B of linear layers in the blocks, for formats that can hold nothing else. */
  beyond: readonly string[];
  close(): void;
}

/** For formats that hold A and B alone. @throws Refusal `unsupported_export` for what they cannot hold, and those of `openAdapter` */
export function openLowRankAdapter(adapterDir: string, base: { modelDir: string; config: ModelConfig }): AdapterFile {
  const adapter = openAdapter(adapterDir, base);
  if (adapter.beyond.length === 0) return adapter;
  adapter.close();
  throw new Refusal(
    'unsupported_export',
    `This format holds low-rank updates of linear layers alone; the adapter also has ${adapter.beyond.join(', ')}`,
    {
      param: 'format',
      hint: 'Export the merged model: "hugging_face" or "gguf".',
    },
  );
}

/** @throws Refusal `corrupt_model_file` when the adapter does not fit the model, `unsupported_adapter` when it is not LoRA */
export function openAdapter(adapterDir: string, { modelDir, config }: { modelDir: string; config: ModelConfig }): AdapterFile {
  const tuning = readAdapterConfig(adapterDir);
  const file = openUnless(adapterProblems(adapterDir, modelDir, tuning), adapterDir);
  const layers = checkLora(config, tuning);
  const weights = trainedWeights(config, tuning);
  const floats = (name: string) => file.read(name).data as Float32Array;
  return {
    modules: [...layers.keys()],
    read(module) {
      const { kind, r, scaling, experts } = layers.get(module)!;
      const magnitude = tuning.use_dora === true ? floats(magnitudeName(module)) : null;
      return {
        kind,
        A: floats(peftName(module, 'A', kind)),
        B: floats(peftName(module, 'B', kind)),
        r,
        scaling,
        magnitude,
        ...(experts && { experts }),
      };
    },
    weightOf: (module) => layers.get(module)!.experts?.weight ?? `${module}.weight`,
    whole(name) {
      const stored = weights.get(name);
      return stored === undefined ? null : floats(stored);
    },
    beyond: [
      ...(tuning.use_dora === true ? ['the magnitudes of DoRA'] : []),
      ...[...layers].filter(([, { kind }]) => kind !== 'linear').map(([module]) => `an update of ${module}`),
      ...weights.keys(),
    ],
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
      delivered: stored.delivered,
      otherTowers: stored.otherTowers,
      read(name) {
        const values = new Float32Array(shapeSize(shapes.get(name)!));
        stored.readInto(name, values);
        return merge?.merged(name, values) ?? values;
      },
      product: (name) => merge?.product?.(name) ?? null,
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
  const { tiedHead, names } = base.config;
  if (tiedHead && adapter.modules.includes(names.embedding)) {
    adapter.close();
    throw new Refusal('unsupported_export', `The adapter changes ${names.embedding} but not the head, which is the same matrix`, {
      param: 'format',
      hint: 'Such an adapter cannot be merged: use it beside its base model, with PEFT or in Graft.',
    });
  }
  const tuned = new Map(adapter.modules.map((module) => [adapter.weightOf(module), module]));
  return {
    merged(name, values) {
      const module = tuned.get(name);
      return module === undefined ? (adapter.whole(name) ?? values) : merged(values, adapter.read(module), base.config);
    },
    product(name) {
      const module = tuned.get(name);
      if (module === undefined) return null;
      const { kind, magnitude, experts, ...matrices } = adapter.read(module);
      return magnitude === null && experts === undefined ? { ...matrices, inputFirst: isInputFirst(kind, base.config) } : null;
    },
    close: () => adapter.close(),
  };
}

/** The scaling of the first layer, and every layer's matrices rescaled to it: for formats that hold a single scaling. */
export function evenlyScaled(adapter: AdapterFile): { scaling: number; read(module: string): LoraMatrices } {
  const { scaling } = adapter.read(adapter.modules[0]!);
  const read = (module: string): LoraMatrices => {
    const own = adapter.read(module);
    return own.scaling === scaling ? own : { ...own, B: own.B.map((value) => (value * own.scaling) / scaling), scaling };
  };
  return { scaling, read };
}

/** Whether a weight is stored as [in, out]. */
const isInputFirst = (kind: LoraMatrices['kind'], { inputFirst }: Pick<ModelConfig, 'inputFirst'>): boolean =>
  kind === 'embedding' || (kind === 'linear' && inputFirst);

/**
 * W + s·B·A in f32, as PEFT's `merge_and_unload`; with DoRA each output's weights have the length that was trained.
 * @param W [out, in]; [in, out] if `inputFirst`, and for an embedding
 */
function merged(W: Float32Array, matrices: LoraMatrices, config: Pick<ModelConfig, 'inputFirst' | 'experts'>): Float32Array {
  const { kind, A, B, r, scaling, magnitude, experts } = matrices;
  if (experts !== undefined) return mergedExperts(W, matrices, { count: experts.count, inputFirst: config.experts!.inputFirst ?? false });
  const [input, out] = [A.length / r, B.length / r];
  const inputFirst = isInputFirst(kind, config);
  return tidyValues(() => {
    const [a, b] = [tf.tensor2d(A, [r, input]), tf.tensor2d(B, [out, r])];
    const update = inputFirst ? tf.matMul(a, b, true, true) : tf.matMul(b, a);
    const base = tf.tensor2d(W, inputFirst ? [input, out] : [out, input]);
    const sum = tf.add(base, tf.mul(update, scaling));
    if (magnitude === null) return sum.dataSync() as Float32Array;
    const lengths = tf.norm(sum, 'euclidean', inputFirst ? 0 : 1, true);
    return tf.mul(sum, tf.div(tf.reshape(tf.tensor1d(magnitude), lengths.shape), lengths)).dataSync() as Float32Array;
  });
}

/** The same for each expert. @param W [experts, out, in], or [experts, in, out] if `inputFirst`, which is overwritten and returned */
function mergedExperts(
  W: Float32Array,
  { A, B, r, scaling }: LoraMatrices,
  { count, inputFirst }: { count: number; inputFirst: boolean },
): Float32Array {
  const [input, out] = [A.length / (count * r), B.length / (count * r)];
  tf.tidy(() => {
    const ofB = tf.transpose(tf.tensor3d(B, [out, r, count]), [2, 0, 1]); // [experts, out, r]
    for (const [expert, b] of tf.unstack(ofB).entries()) {
      const a = tf.tensor2d(A.subarray(expert * r * input, (expert + 1) * r * input), [r, input]);
      const own = W.subarray(expert * out * input, (expert + 1) * out * input);
      const update = inputFirst ? tf.matMul(a, b as Tensor2D, true, true) : tf.matMul(b as Tensor2D, a);
      own.set(tf.add(tf.tensor(own, update.shape), tf.mul(update, scaling)).dataSync<'float32'>());
    }
  });
  return W;
}
