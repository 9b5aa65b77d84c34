/** A tuned model that runs each pass and each step as one graph. The graph's session holds the only copy of its weights. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { weightShapes } from '../../../src/formats/module-shapes.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import type { Batch } from '../data/batch.ts';
import { allLogits, type LogitsAt, nextTokenLogits, nextTokens } from '../model/text-logits.ts';
import { NO_SUMS, type Objective, type Sums } from '../objectives/objective.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';
import { noiseScales } from '../tuning/embedding-noise.ts';
import { type DropoutPosition, dropoutKey } from '../tuning/trained.ts';
import type { LearningModel, LogitsOptions, MomentValues, NamedValues, TensorValues, TextMemory, Update, WholeStep } from '../tuning/tuned-model.ts';
import { BAD_GRADIENT, BAD_LOSS } from './backward-update.ts';
import { fetchesOf, runsOf, wholeStepOf } from './fetches.ts';
import { Learner, zeroedState } from './learner.ts';
import { FEEDS, logitFeeds, passFeeds, passSizes } from './pass-feeds.ts';
import { assignQuantized } from './quantized-weights.ts';
import { type Learning, type ModelChoices, type RecordedModel, recordModel } from './recorded-model.ts';
import type { RecordedPass } from './recorded-pass.ts';
import { openTextMemory } from './recorded-texts.ts';
import { fuseRows } from './rewriting/fuse.ts';
import { assignSlabs, valuesOf } from './session/held-slabs.ts';
import { profile, type TimedOperation } from './session/profile.ts';
import { GraphSession } from './session/session.ts';
import { type Fill, filledFrom, reader } from './slab.ts';

export interface CompileOptions extends ModelChoices {
  /** Reads a weight of the base model. */
  readWeight: Fill;
}

export class CompiledModel implements LearningModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedTuning | null;
  readonly objective: Objective;
  readonly trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly textMemory: TextMemory | null;
  readonly takeWhole: NonNullable<LearningModel['takeWhole']> | null;
  readonly #recorded: RecordedModel;
  readonly #session: GraphSession;
  readonly #learner: Learner;
  readonly #logitsAt: LogitsAt = (content, positions) =>
    tidyValues(() => this.#session.run(logitFeeds(content, positions, this.config), [this.#recorded.logits])[0]!.dataSync<'float32'>());

  constructor({ readWeight, ...choices }: CompileOptions) {
    const recorded = recordModel(choices);
    const { recorder, frozen, quantized, constant, trained, added, initial } = recorded;
    this.config = choices.config;
    this.tuning = choices.tuning;
    this.objective = choices.objective;
    this.trainable = recorded.trainable;
    this.trainableParameters = recorded.trainableParameters;
    this.totalParameters = recorded.totalParameters;
    this.#recorded = recorded;
    const steps = recorded.learning?.whole != null;
    fuseRows(recorder.graph, runsOf(recorded));
    this.#session = new GraphSession(recorder.graph, fetchesOf(recorded));
    this.#learner = new Learner(this.#session, { trained, trainable: recorded.trainable, optimizer: recorded.learning }, !steps);
    this.takeWhole = steps ? (...step) => this.#takeWhole(...step) : null;
    this.textMemory = recorded.texts && openTextMemory(this.#session, recorded.texts, choices.config);
    const read = reader(weightShapes(choices.config), readWeight);
    const fillAdded = filledFrom((name) => initial(name, read) ?? added.get(name)!);
    const fill: Fill = (name, piece) => (added.has(name) ? fillAdded : readWeight)(name, piece);
    try {
      assignSlabs(
        this.#session,
        [...frozen, ...constant, ...trained].map((held) => ({ ...held, fill })),
      );
      assignQuantized(this.#session, quantized, { ...choices, readWeight });
      this.#session.zero(zeroedState(trained, !steps));
    } catch (error) {
      this.#session.dispose();
      throw error;
    }
  }

  get steps(): number {
    return this.#learner.steps;
  }

  get outgrowsReference(): boolean {
    return this.#recorded.reference?.ofBase === false;
  }

  referenceOf(batch: Batch): Float32Array | null {
    const { reference } = this.#recorded;
    if (reference === null) return null;
    return tidyValues(() => {
      const feeds = passFeeds(this.objective, batch, this.#recorded.context);
      return feeds === null ? new Float32Array() : this.#session.run(feeds.tensors, [reference.output])[0]!.dataSync<'float32'>();
    });
  }

  evaluate(batch: Batch): Sums {
    return this.#pass(batch, this.#recorded.evaluation);
  }

  accumulate(batch: Batch, position: DropoutPosition): Sums {
    this.#learner.holdGradients();
    return this.#pass(batch, this.#mustLearn().pass, position);
  }

  update(step: Update): number {
    return this.#learner.update(step);
  }

  discard(): void {
    this.#learner.discard();
  }

  /** Times each operation of a training pass, which also adds its gradients, as `accumulate` does. */
  profile(batch: Batch, position: DropoutPosition): TimedOperation[] {
    const sizes = passSizes(this.objective, batch, this.#recorded.context);
    return profile(() => this.accumulate(batch, position), {
      nodes: this.#recorded.recorder.graph.nodes,
      actual: (size) => this.#recorded.recorder.actualSize(size, sizes),
    });
  }

  nextTokenLogits(text: Int32Array, options: LogitsOptions = {}): Float32Array {
    return nextTokenLogits(this, this.#logitsAt, text, options);
  }

  nextTokens(texts: readonly Int32Array[]): Int32Array {
    return nextTokens(this, this.#logitsAt, texts);
  }

  /** @returns [length, vocab], row-major */
  allLogits(text: Int32Array): Float32Array {
    return allLogits(this, this.#logitsAt, text);
  }

  read(): Map<string, TensorValues> {
    return this.#learner.read();
  }

  readLazily(): Map<string, TensorValues> {
    return this.#learner.readLazily();
  }

  constants(): Map<string, TensorValues> {
    const { constant } = this.#recorded;
    const values = valuesOf(this.#session, constant);
    return new Map(constant.flatMap(({ slab }) => slab.parts.map(({ name, shape }) => [name, { shape, data: values.get(name)! }])));
  }

  assign(values: NamedValues): void {
    const fill = filledFrom((name) => values.get(name)!);
    const constant = this.#recorded.constant.filter(({ slab }) => slab.parts.every(({ name }) => values.has(name)));
    assignSlabs(this.#session, [...this.#learner.filledWith((name) => values.get(name)!), ...constant.map((held) => ({ ...held, fill }))]);
  }

  moments(): Map<string, MomentValues> {
    return this.#learner.moments();
  }

  momentsLazily(): Map<string, MomentValues> {
    return this.#learner.momentsLazily();
  }

  /** Sum of the loss's gradients since the last update, by parameter. */
  gradients(): Map<string, Float32Array> {
    return this.#learner.gradients();
  }

  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void {
    this.#learner.restore(steps, parameters, moments);
  }

  dispose(): void {
    this.#session.dispose();
  }

  #randomFeeds(batch: Batch, position: DropoutPosition): Record<string, Tensor> {
    const key = { [FEEDS.dropoutKey]: dropoutKey(position) };
    const { noiseAlpha: alpha } = this.#mustLearn();
    return alpha === undefined ? key : { ...key, [FEEDS.noiseScales]: tf.tensor1d(noiseScales(batch, { alpha, ...this.config })) };
  }

  #takeWhole(batch: Batch, position: DropoutPosition, learningRate: number): WholeStep {
    const whole = this.#mustLearn().whole!;
    return tf.tidy(() => {
      const reference = batch.reference ?? this.referenceOf(batch);
      const pass = passFeeds(this.objective, reference === null ? batch : { ...batch, reference }, this.#recorded.context);
      if (pass === null) return { sums: NO_SUMS, norm: Number.NaN, isTorn: false };
      const { known } = pass.fed;
      let failure = '';
      const taken = this.#learner.stepWithin({ learningRate, weight: known.weight }, (feeds) => {
        try {
          return this.#session.run({ ...pass.tensors, ...this.#randomFeeds(batch, position), ...feeds }, wholeStepOf(whole));
        } catch (error) {
          failure = (error as Error).message;
          if (!failure.includes(BAD_LOSS) && !failure.includes(BAD_GRADIENT)) throw error;
          return null;
        }
      });
      const values = taken?.map((tensor) => tensor.dataSync()[0]!) ?? [];
      const sums = Object.fromEntries(Object.keys(whole.sums).map((name, index) => [name, values[index] ?? Number.NaN]));
      const norm = values.at(-1) ?? Number.NaN;
      return { sums: { ...known, ...sums }, norm, isTorn: !failure.includes(BAD_LOSS) && !Number.isFinite(norm) };
    }) as unknown as WholeStep;
  }

  #mustLearn(): Learning {
    if (this.#recorded.learning === null) throw new Error('this model was opened for inference');
    return this.#recorded.learning;
  }

  #pass(batch: Batch, sums: RecordedPass['sums'], position?: DropoutPosition): Sums {
    const reference = batch.reference ?? this.referenceOf(batch);
    return tf.tidy(() => {
      const pass = passFeeds(this.objective, reference === null ? batch : { ...batch, reference }, this.#recorded.context);
      if (pass === null) return NO_SUMS;
      const feeds = { ...pass.tensors, ...(position && this.#randomFeeds(batch, position)) };
      const values = this.#session.run(feeds, Object.values(sums)).map((tensor) => tensor.dataSync()[0]!);
      const computed = Object.fromEntries(Object.keys(sums).map((name, index) => [name, values[index]!]));
      return { ...pass.fed.known, ...computed };
    }) as unknown as Sums;
  }
}
