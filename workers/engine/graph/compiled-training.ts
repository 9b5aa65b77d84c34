/** Training whose passes and steps each are one run of one graph. The weights are in its session and nowhere else. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import type { Batch } from '../data/batch.ts';
import { supervisedPositions } from '../loss/supervised-positions.ts';
import { rotariesOf, tokenGrid } from '../model/token-grid.ts';
import { type Tensor, tf } from '../tensorflow.ts';
import { trainLora } from '../tuning/lora.ts';
import { trainAll } from '../tuning/trained.ts';
import type { Losses } from '../tuning/tuned-model.ts';
import { type AdamWConstants, recordUpdate, type TrainedVariables, updateScalars } from './adamw-update.ts';
import { type Attribute, DType, type Output } from './graph.ts';
import { FEEDS, feedsOfPass, type RecordedPass, recordPass } from './recorded-pass.ts';
import { Recorder } from './recorder.ts';
import { GraphSession } from './session.ts';
import { type SessionVariable, sessionVariable } from './session-variable.ts';

const FLOAT: Attribute = { kind: 'type', value: DType.float32 };

export interface CompiledTrainingOptions {
  config: ModelConfig;
  /** The base's, which the session takes over: they remain the caller's and may be given back when this is made. */
  weights: ReadonlyMap<string, Tensor>;
  tuning: ResolvedTuning;
  /** Of an adapter's first values. */
  seed: number;
  weightDecay: number;
}

export interface Update {
  /** Steps taken, this one included. */
  t: number;
  learningRate: number;
  /** 0 turns clipping off. */
  maxNorm: number;
  /** Supervised tokens behind the gradients. */
  tokens: number;
}

export class CompiledTraining {
  readonly #config: ModelConfig;
  readonly #session: GraphSession;
  readonly #trained: ReadonlyMap<string, TrainedVariables>;
  readonly #training: [lossSum: Output, correct: Output];
  readonly #evaluation: RecordedPass;
  readonly #update: Output;
  readonly #adamw: AdamWConstants;
  readonly #weightDecay: number;

  constructor({ config, weights, tuning, seed, weightDecay }: CompiledTrainingOptions) {
    const recorder = new Recorder();
    const { graph } = recorder;
    this.#config = config;
    this.#weightDecay = weightDecay;
    this.#adamw = { betas: [0.9, 0.999], epsilon: 1e-8, decays: weightDecay !== 0 };

    const { heads, kvHeads, headSize } = config;
    const sizes = [...[...weights.values()].flatMap(({ shape }) => shape), heads, kvHeads, heads / kvHeads, headSize];
    const feeds = feedsOfPass(recorder, config, sizes);
    const base = new Map([...weights].map(([name, { shape }]) => [name, sessionVariable(graph, `base/${name}`, shape)]));
    // Names and shapes, no numbers.
    const stand = new Map([...base].map(([name, { value }]) => [name, recorder.tensor(value)]));
    const trained = tuning.type === 'full' ? recorder.record(() => trainAll(stand, config)) : trainLora(stand, { config, tuning, seed });
    const made = (part: string, name: string, shape: number[]) => sessionVariable(graph, `${part}/${name}`, shape);
    this.#trained = new Map(
      [...trained.trainable].map(([name, { shape }]) => {
        const parameter = base.get(name) ?? made('trained', name, shape);
        return [name, { parameter, m: made('m', name, shape), v: made('v', name, shape), gradients: made('gradients', name, shape) }];
      }),
    );
    if (tuning.type === 'lora') for (const [name, variable] of trained.trainable) recorder.bind(variable, this.#trained.get(name)!.parameter.value);

    const pass = { config, parameters: trained.parameters() };
    const training = recordPass(recorder, feeds, { ...pass, trainable: trained.trainable });
    const sums = [...training.gradients].map(([name, gradient]) =>
      graph.add('AssignAddVariableOp', { dtype: FLOAT }, [this.#trained.get(name)!.gradients.handle, gradient], [], { stateful: true }),
    );
    const { lossSum } = training;
    const summed = graph.add('Identity', { T: FLOAT }, [lossSum], [lossSum], { name: 'training', after: sums, stateful: true }).outputs[0]!;
    this.#training = [summed, training.correct];
    this.#evaluation = recordPass(recorder, feeds, { ...pass, trainable: new Map() });
    this.#update = recordUpdate(recorder, [...this.#trained.values()], this.#adamw);

    const own = [...this.#trained.values()].flatMap((variables) => Object.values(variables) as SessionVariable[]);
    const variables = [...new Set([...base.values(), ...own])];
    const { lossSum: evaluated, correct } = this.#evaluation;
    const values = own.map(({ value }) => value);
    const fetches = [...this.#training, evaluated, correct, this.#update, ...values, ...variables.map(({ assigned }) => assigned)];
    this.#session = new GraphSession(graph, fetches);
    recorder.dispose();
    tf.tidy(() => {
      const initial = new Map<SessionVariable, Tensor>([...base].map(([name, variable]) => [variable, weights.get(name)!]));
      for (const [name, { parameter, m, v, gradients }] of this.#trained) {
        if (tuning.type === 'lora') initial.set(parameter, trained.trainable.get(name)!);
        for (const variable of [m, v, gradients]) initial.set(variable, tf.zeros([...variable.shape]));
      }
      this.#assign(initial);
    });
    recorder.record(() => tf.dispose([...trained.trainable.values()]));
  }

  /** Adds a pass's gradients to those of the step under way. */
  accumulate(batch: Batch): Losses {
    return this.#pass(batch, this.#training);
  }

  /** Without gradients. */
  evaluate(batch: Batch): Losses {
    return this.#pass(batch, [this.#evaluation.lossSum, this.#evaluation.correct]);
  }

  /** One step of AdamW with the mean of the gradients, clipped. @returns their norm before that; NaN or infinite when one of them is */
  update({ t, learningRate, maxNorm, tokens }: Update): number {
    return tf.tidy(() => {
      const scalars = updateScalars({ t, learningRate, maxNorm, tokens, weightDecay: this.#weightDecay }, this.#adamw);
      const feeds = Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tf.scalar(value)]));
      return this.#session.run(feeds, [this.#update])[0]!.dataSync()[0]!;
    });
  }

  /** What is trained as it is now, by name. */
  read(): Map<string, Float32Array> {
    const parameters = [...this.#trained.values()].map(({ parameter }) => parameter.value);
    const values = this.#session.run({}, parameters);
    const read = new Map([...this.#trained.keys()].map((name, index) => [name, values[index]!.dataSync<'float32'>().slice()]));
    tf.dispose(values);
    return read;
  }

  dispose(): void {
    this.#session.dispose();
  }

  #assign(values: ReadonlyMap<SessionVariable, Tensor>): void {
    const feeds = Object.fromEntries([...values].map(([{ name }, tensor]) => [`${name}/given`, tensor]));
    tf.dispose(
      this.#session.run(
        feeds,
        [...values.keys()].map(({ assigned }) => assigned),
      ),
    );
  }

  #pass(batch: Batch, fetches: Output[]): Losses {
    const supervised = supervisedPositions(batch);
    const supervisedTokens = supervised.targets.length;
    if (supervisedTokens === 0) return { lossSum: 0, correct: 0, supervisedTokens };
    return tf.tidy(() => {
      const grid = tokenGrid(batch, this.#config);
      const feeds: Record<string, Tensor> = {
        [FEEDS.rows]: tf.scalar(batch.rows, 'int32'),
        [FEEDS.length]: tf.scalar(batch.length, 'int32'),
        [FEEDS.inputIds]: grid.inputIds,
        [FEEDS.positions]: grid.positions,
        [FEEDS.segments]: grid.segments,
        [FEEDS.supervised]: tf.tensor1d(supervised.positions, 'int32'),
        [FEEDS.targets]: tf.tensor1d(supervised.targets, 'int32'),
      };
      for (const [index, rotary] of rotariesOf(this.#config).entries()) feeds[FEEDS.frequencies(index)] = grid.frequencies.get(rotary)!;
      const [lossSum, correct] = this.#session.run(feeds, fetches).map((tensor) => tensor.dataSync()[0]!) as [number, number];
      return { lossSum, correct, supervisedTokens };
    }) as unknown as Losses;
  }
}
