/** A model that runs its maths operation by operation, as written. It exists only to compare the compiled model with it. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { isBuffer, usedHeadWeight } from '../../../src/formats/module-shapes.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { Batch } from '../data/batch.ts';
import { Decoder } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { allLogits, type LogitsAt, nextTokenLogits, nextTokens } from '../model/text-logits.ts';
import { tokenGrid } from '../model/token-grid.ts';
import { loadWeights, readModelConfig } from '../model/weights.ts';
import { softCapped } from '../objectives/cross-entropy.ts';
import { type ComputedSums, type FedBatch, type Forward, fedTensors, NO_SUMS, type ObjectiveContext, type Sums } from '../objectives/objective.ts';
import { supervised } from '../objectives/supervised.ts';
import { type Scalar, type Tensor, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';
import { noiseScales, withEmbeddingNoise } from '../tuning/embedding-noise.ts';
import { methodOf, readAdapterTuning, withAdapter } from '../tuning/methods.ts';
import { type DropoutPosition, dropoutKey, type Trained, untuned, variable } from '../tuning/trained.ts';
import type { LogitsOptions, NamedValues, TensorValues, TunedModel } from '../tuning/tuned-model.ts';

export interface EagerModel extends TunedModel {
  readonly trainable: ReadonlyMap<string, Variable>;
  /** Gradients of the summed loss, by name; the caller owns them. */
  gradients(batch: Batch, position: DropoutPosition): { sums: Sums; gradients: Map<string, Tensor> };
  /** @returns [length, vocab], row-major */
  allLogits(inputIds: Int32Array): Float32Array;
}

interface EagerTraining {
  modelDir: string;
  tuning: ResolvedTuning;
  seed: number;
  /** NEFTune's α; default: no noise. */
  noiseAlpha?: number;
}

/**
 * A base model that is ready for tuning.
 * @param options.seed of the initial values
 * @throws Refusal `unsupported_architecture`, `corrupt_model_file`, or any refusal by the method
 */
export function openEagerForTraining({ modelDir, tuning, seed, noiseAlpha }: EagerTraining): EagerModel {
  const method = methodOf(tuning);
  return open(modelDir, tuning, (weights, config) => {
    for (const [name, weight] of weights) if (method.trainsWeight(name, { config, tuning })) weights.set(name, variable(weight));
    const trained = method.join(weights, { config, tuning, seed });
    return noiseAlpha === undefined ? trained : { ...trained, noiseAlpha };
  });
}

/**
 * A base model alone, with nothing to train, or with a PEFT adapter.
 * @throws Refusal `unsupported_adapter`, and those of `openEagerForTraining`
 */
export function openEagerForInference({ modelDir, adapterDir }: { modelDir: string; adapterDir?: string }): EagerModel {
  if (adapterDir === undefined) return open(modelDir, null, untuned);
  const tuning = readAdapterTuning(adapterDir);
  return withAdapter(openEagerForTraining({ modelDir, tuning, seed: 0 }), tuning, adapterDir);
}

type Joined = Trained & Pick<EagerTraining, 'noiseAlpha'>;
type Join = (weights: Map<string, Tensor>, config: ModelConfig) => Joined;

function open(modelDir: string, tuning: ResolvedTuning | null, join: Join): EagerModel {
  const { config, weights } = loadWeights(modelDir, readModelConfig(modelDir));
  try {
    const trained = join(weights, config);
    setInitialValues(trained, weights);
    return new DecoderWithTuning({ config, tuning, weights, trained });
  } catch (error) {
    tf.dispose([...weights.values()]);
    throw error;
  }
}

function setInitialValues({ trainable, constant = new Map(), initial }: Trained, weights: ReadonlyMap<string, Tensor>): void {
  for (const [name, variable] of [...trainable, ...constant]) {
    const values = weights.has(name) ? null : (initial?.(name, (weight) => weights.get(weight)!.dataSync<'float32'>()) ?? null);
    if (values !== null) tf.tidy(() => variable.assign(tf.tensor(values, variable.shape, 'float32')));
  }
}

interface Parts {
  config: ModelConfig;
  tuning: ResolvedTuning | null;
  weights: ReadonlyMap<string, Tensor>;
  trained: Joined;
}

class DecoderWithTuning implements EagerModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedTuning | null;
  readonly objective = supervised;
  readonly trainable: ReadonlyMap<string, Variable>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly #context: ObjectiveContext;
  readonly #decoder: Decoder;
  readonly #trained: Joined;
  readonly #tensors: ReadonlySet<Tensor>;
  readonly #logits: LogitsAt = (content, positions) =>
    tidyValues(() => {
      const parameters = this.#trained.parameters();
      const grid = tokenGrid(content, this.config);
      const states = this.#decoder.statesAt(grid, tf.tensor1d(positions, 'int32'), parameters);
      const logits = tf.matMul(states, this.#decoder.head(parameters), false, true);
      return softCapped(logits, this.config.logitSoftCap).dataSync<'float32'>();
    });

  constructor({ config, tuning, weights, trained }: Parts) {
    this.config = config;
    this.tuning = tuning;
    this.trainable = trained.trainable;
    this.#trained = trained;
    this.#decoder = new Decoder(config);
    this.#context = { config, trainsHead: weights.get(usedHeadWeight(config)) instanceof tf.Variable || trained.changesHead === true };
    this.#tensors = new Set<Tensor>([
      ...weights.values(),
      ...(trained.constant ?? new Map<string, Variable>()).values(),
      ...trained.trainable.values(),
    ]);
    const count = (tensors: Iterable<Tensor>): number => [...tensors].reduce((sum, { size }) => sum + size, 0);
    this.trainableParameters = count(trained.trainable.values());
    const buffers = [...weights].flatMap(([name, tensor]) => (isBuffer(name, config) ? [tensor] : []));
    this.totalParameters = count(this.#tensors) - count(buffers);
  }

  evaluate(batch: Batch): Sums {
    const fed = this.objective.feed(batch, this.#context);
    if (fed === null) return NO_SUMS;
    return tf.tidy(() => {
      const { loss, others } = this.#compute(batch, fed, this.#trained.parameters(), false);
      return { ...fed.known, ...read({ loss, ...others }) };
    }) as unknown as Sums;
  }

  gradients(batch: Batch, position: DropoutPosition): { sums: Sums; gradients: Map<string, Tensor> } {
    const gradients = new Map<string, Tensor>();
    const fed = this.objective.feed(batch, this.#context);
    if (fed === null) {
      for (const [name, variable] of this.trainable) gradients.set(name, tf.zerosLike(variable));
      return { sums: NO_SUMS, gradients };
    }
    const key = dropoutKey(position);
    const { noiseAlpha: alpha } = this.#trained;
    const scales = tf.tensor1d(alpha === undefined ? [] : noiseScales(batch, { alpha, ...this.config }));
    const noiseless = this.#trained.parameters(key);
    const parameters = alpha === undefined ? noiseless : withEmbeddingNoise(noiseless, { scales, key });
    let others: ComputedSums['others'] = {};
    const { value, grads } = tf.variableGrads(() => {
      const sums = this.#compute(batch, fed, parameters, true);
      others = sums.others;
      return sums.loss;
    }, [...this.trainable.values()]);
    for (const [name, variable] of this.trainable) gradients.set(name, grads[variable.name]!);
    const sums = { ...fed.known, ...read({ loss: value, ...others }) } as Sums;
    tf.dispose([value, others, key, scales]);
    return { sums, gradients };
  }

  nextTokenLogits(text: Int32Array, options: LogitsOptions = {}): Float32Array {
    return nextTokenLogits(this, this.#logits, text, options);
  }

  nextTokens(texts: readonly Int32Array[]): Int32Array {
    return nextTokens(this, this.#logits, texts);
  }

  /** @returns [length, vocab], row-major */
  allLogits(text: Int32Array): Float32Array {
    return allLogits(this, this.#logits, text);
  }

  read(): Map<string, TensorValues> {
    return valuesOf(this.trainable);
  }

  constants(): Map<string, TensorValues> {
    return valuesOf(this.#trained.constant ?? new Map());
  }

  assign(values: NamedValues): void {
    const constant = [...(this.#trained.constant ?? [])].filter(([name]) => values.has(name));
    for (const [name, variable] of [...this.trainable, ...constant])
      tf.tidy(() => variable.assign(tf.tensor(values.get(name)!, variable.shape, 'float32')));
  }

  dispose(): void {
    tf.dispose([...this.#tensors]);
  }

  #compute(batch: Batch, fed: FedBatch, parameters: Parameters, withGradient: boolean): ComputedSums {
    const forward: Forward = { config: this.config, decoder: this.#decoder, grid: tokenGrid(batch, this.config), parameters };
    return this.objective.compute(forward, fedTensors(this.objective, fed, this.#context), { withGradient });
  }
}

const valuesOf = (variables: ReadonlyMap<string, Variable>): Map<string, TensorValues> =>
  new Map([...variables].map(([name, variable]) => [name, { shape: variable.shape, data: variable.dataSync<'float32'>() }]));

const read = (sums: Record<string, Scalar>): Record<string, number> =>
  Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum.dataSync()[0]!]));
