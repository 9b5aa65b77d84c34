/**
 * A model whose maths runs operation by operation, as it is written. What the compiled model does is compared with it; nothing else needs it.
 */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import type { Batch } from '../data/batch.ts';
import { readAdapterConfig, withAdapter } from '../io/adapter.ts';
import { Decoder } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { type GridContent, tokenGrid } from '../model/token-grid.ts';
import { loadWeights, readModelConfig } from '../model/weights.ts';
import { type CrossEntropy, crossEntropy, partSizes, softCapped } from '../objectives/cross-entropy.ts';
import { type SupervisedPositions, supervisedPositions } from '../objectives/supervised-positions.ts';
import { type Scalar, type Tensor, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import { trainLora } from '../tuning/lora.ts';
import { type DropoutPosition, dropoutKey, type Trained, trainAll, trainNothing } from '../tuning/trained.ts';
import type { Losses, TensorValues, TunedModel } from '../tuning/tuned-model.ts';

export interface EagerModel extends TunedModel {
  readonly trainable: ReadonlyMap<string, Variable>;
  /** Gradients of the summed loss by name; the caller owns them. */
  gradients(batch: Batch, position: DropoutPosition): Losses & { gradients: Map<string, Tensor> };
  /** @returns [length, vocab], row-major */
  allLogits(inputIds: Int32Array): Float32Array;
}

/**
 * A base model with a fresh adapter, or ready for full fine-tuning.
 * @param options.seed of the adapter's first values
 * @throws Refusal `unsupported_architecture`, `corrupt_model_file`, `unknown_target_module`
 */
export function openTunedModel({ modelDir, tuning, seed }: { modelDir: string; tuning: ResolvedTuning; seed: number }): EagerModel {
  return open(modelDir, tuning, (weights, config) =>
    tuning.type === 'full' ? trainAll(weights, config) : trainLora(weights, { config, tuning, seed }),
  );
}

/**
 * A base model alone, of which nothing is trainable, or with a PEFT adapter.
 * @throws Refusal also `unsupported_adapter`
 */
export function openForInference({ modelDir, adapterDir }: { modelDir: string; adapterDir?: string }): EagerModel {
  if (adapterDir === undefined) return open(modelDir, { type: 'full' }, trainNothing);
  const tuning = readAdapterConfig(adapterDir);
  const model = open(modelDir, tuning, (weights, config) => trainLora(weights, { config, tuning, seed: 0 }));
  return withAdapter(model, adapterDir);
}

function open(modelDir: string, tuning: ResolvedTuning, train: (weights: Map<string, Tensor>, config: ModelConfig) => Trained): EagerModel {
  const config = readModelConfig(modelDir);
  const weights = loadWeights(modelDir, config);
  try {
    return new DecoderWithTuning({ config, tuning, weights, trained: train(weights, config) });
  } catch (error) {
    tf.dispose([...weights.values()]);
    throw error;
  }
}

interface Parts {
  config: ModelConfig;
  tuning: ResolvedTuning;
  weights: ReadonlyMap<string, Tensor>;
  trained: Trained;
}

class DecoderWithTuning implements EagerModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedTuning;
  readonly trainable: ReadonlyMap<string, Variable>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly #decoder: Decoder;
  readonly #trained: Trained;
  readonly #tensors: ReadonlySet<Tensor>;

  constructor({ config, tuning, weights, trained }: Parts) {
    this.config = config;
    this.tuning = tuning;
    this.trainable = trained.trainable;
    this.#trained = trained;
    this.#decoder = new Decoder(config);
    this.#tensors = new Set<Tensor>([...weights.values(), ...trained.trainable.values()]);
    const count = (tensors: Iterable<Tensor>): number => [...tensors].reduce((sum, { size }) => sum + size, 0);
    this.trainableParameters = count(trained.trainable.values());
    this.totalParameters = count(this.#tensors);
  }

  evaluate(batch: Batch): Losses {
    const supervised = supervisedPositions(batch);
    if (supervised.targets.length === 0) return { lossSum: 0, correct: 0, supervisedTokens: 0 };
    const [lossSum, correct] = tf.tidy(() => {
      const losses = this.#losses(batch, supervised, this.#trained.parameters(), false);
      return [losses.lossSum.dataSync()[0]!, losses.correct.dataSync()[0]!];
    }) as [number, number];
    return { lossSum, correct, supervisedTokens: supervised.targets.length };
  }

  gradients(batch: Batch, position: DropoutPosition): Losses & { gradients: Map<string, Tensor> } {
    const supervised = supervisedPositions(batch);
    const gradients = new Map<string, Tensor>();
    if (supervised.targets.length === 0) {
      for (const [name, variable] of this.trainable) gradients.set(name, tf.zerosLike(variable));
      return { lossSum: 0, correct: 0, supervisedTokens: 0, gradients };
    }
    const key = dropoutKey(position);
    const parameters = this.#trained.parameters(key);
    let correct: Scalar | undefined;
    const { value, grads } = tf.variableGrads(() => {
      const losses = this.#losses(batch, supervised, parameters, true);
      correct = losses.correct;
      return losses.lossSum;
    }, [...this.trainable.values()]);
    for (const [name, variable] of this.trainable) gradients.set(name, grads[variable.name]!);
    const losses = { lossSum: value.dataSync()[0]!, correct: correct!.dataSync()[0]!, supervisedTokens: supervised.targets.length };
    tf.dispose([value, correct!, key]);
    return { ...losses, gradients };
  }

  nextTokenLogits(inputIds: Int32Array): Float32Array {
    return this.#logits(inputIds, Int32Array.of(inputIds.length - 1));
  }

  allLogits(inputIds: Int32Array): Float32Array {
    return this.#logits(
      inputIds,
      inputIds.map((_, position) => position),
    );
  }

  read(): Map<string, TensorValues> {
    return new Map([...this.trainable].map(([name, variable]) => [name, { shape: variable.shape, data: variable.dataSync<'float32'>() }]));
  }

  assign(values: ReadonlyMap<string, Float32Array>): void {
    for (const [name, variable] of this.trainable) tf.tidy(() => variable.assign(tf.tensor(values.get(name)!, variable.shape, 'float32')));
  }

  dispose(): void {
    tf.dispose([...this.#tensors]);
  }

  #losses(batch: Batch, { positions, targets }: SupervisedPositions, parameters: Parameters, withGradient: boolean): CrossEntropy {
    const states = this.#statesAt(batch, positions, parameters);
    const head = this.#decoder.head(parameters);
    const sizes = partSizes(targets.length, { vocabSize: this.config.vocabSize, trainedHead: head instanceof tf.Variable });
    const predictions = { states, head, targets: tf.tensor1d(targets, 'int32'), partSizes: tf.tensor1d(sizes, 'int32') };
    return crossEntropy(predictions, { withGradient, softCap: this.config.logitSoftCap });
  }

  #logits(inputIds: Int32Array, positions: Int32Array): Float32Array {
    return tf.tidy(() => {
      const parameters = this.#trained.parameters();
      const states = this.#statesAt({ rows: 1, length: inputIds.length, inputIds }, positions, parameters);
      const logits = tf.matMul(states, this.#decoder.head(parameters), false, true);
      return softCapped(logits, this.config.logitSoftCap).dataSync<'float32'>();
    }) as unknown as Float32Array;
  }

  /** @returns [positions, hidden], normed: only these go on to the head */
  #statesAt(content: GridContent, positions: Int32Array, parameters: Parameters): Tensor2D {
    return this.#decoder.statesAt(tokenGrid(content, this.config), tf.tensor1d(positions, 'int32'), parameters);
  }
}
