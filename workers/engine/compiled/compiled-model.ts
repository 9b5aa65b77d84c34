/** A tuned model whose passes and steps are each one run of one graph. Its weights are in the graph's session and nowhere else. */

import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning.ts';
import type { Batch } from '../data/batch.ts';
import { type GridContent, rotariesOf, tokenGrid } from '../model/token-grid.ts';
import { partSizes } from '../objectives/cross-entropy.ts';
import { type SupervisedPositions, supervisedPositions } from '../objectives/supervised-positions.ts';
import { backend } from '../tensorflow/backend.ts';
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import { type DropoutPosition, dropoutKey } from '../tuning/trained.ts';
import type { LearningModel, Losses, MomentValues, TensorValues, Update } from '../tuning/tuned-model.ts';
import { updateScalars } from './adamw-update.ts';
import { type HeldSlab, type Learning, type ModelChoices, recordModel, type TrainedSlab } from './recorded-model.ts';
import { FEEDS } from './recorded-pass.ts';
import type { Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import { fuseRows } from './rewriting/fuse.ts';
import { profile, type TimedOperation } from './session/profile.ts';
import { GraphSession, uploaded } from './session/session.ts';
import { asGiven, givenClass, type SessionVariable } from './session/session-variable.ts';
import { type Fill, laidOut, partsOf } from './slab.ts';

export interface CompileOptions extends ModelChoices {
  /** Puts a weight of the base where it is held. */
  readWeight: Fill;
}

/** With what it shall hold. */
interface FilledSlab extends HeldSlab {
  fill: Fill;
}

export class CompiledModel implements LearningModel {
  readonly config: ModelConfig;
  readonly tuning: ResolvedTuning;
  readonly trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  readonly trainableParameters: number;
  readonly totalParameters: number;
  readonly #trainsHead: boolean;
  readonly #recorder: Recorder;
  readonly #session: GraphSession;
  readonly #base: readonly HeldSlab[];
  readonly #trained: readonly TrainedSlab[];
  readonly #evaluation: [lossSum: Output, correct: Output];
  readonly #logits: Output;
  readonly #learning: Learning | null;
  #steps = 0;

  constructor({ readWeight, ...choices }: CompileOptions) {
    const recorded = recordModel(choices);
    const { recorder, base, trained, first } = recorded;
    this.config = choices.config;
    this.tuning = choices.tuning ?? { type: 'full' };
    this.trainable = recorded.trainable;
    this.trainableParameters = recorded.trainableParameters;
    this.totalParameters = recorded.totalParameters;
    this.#trainsHead = choices.tuning?.type === 'full';
    this.#recorder = recorder;
    this.#base = base;
    this.#trained = trained;
    this.#evaluation = recorded.evaluation;
    this.#logits = recorded.logits;
    this.#learning = recorded.learning;
    if (!backend.isUsingGpuDevice) fuseRows(recorder.graph, this.#runs());
    this.#session = new GraphSession(recorder.graph, this.#allFetches());
    try {
      this.#assign(
        [...base.map((held) => ({ ...held, fill: readWeight })), ...(first === null ? [] : this.#values((name) => first.get(name)!))],
        trained.flatMap(({ learning }) => (learning === null ? [] : [learning.m.zeroed, learning.v.zeroed, learning.gradients.zeroed])),
      );
    } catch (error) {
      this.#session.dispose();
      throw error;
    }
  }

  get steps(): number {
    return this.#steps;
  }

  evaluate(batch: Batch): Losses {
    return this.#pass(batch, this.#evaluation);
  }

  accumulate(batch: Batch, position: DropoutPosition): Losses {
    return this.#pass(batch, this.#mustLearn().pass, position);
  }

  update({ learningRate, maxNorm, tokens }: Update): number {
    const { update, adamw, weightDecay } = this.#mustLearn();
    this.#steps += 1;
    return tf.tidy(() => {
      const scalars = updateScalars({ t: this.#steps, learningRate, maxNorm, tokens, weightDecay }, adamw);
      const feeds = Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tf.scalar(value)]));
      return this.#session.run(feeds, [update])[0]!.dataSync()[0]!;
    }) as unknown as number;
  }

  /** Where a pass's time goes. Its gradients are added to those before, as `accumulate` does. */
  profile(batch: Batch, position: DropoutPosition): TimedOperation[] {
    const sizes: Record<string, number> = {
      [FEEDS.rows]: batch.rows,
      [FEEDS.length]: batch.length,
      [FEEDS.supervisedCount]: supervisedPositions(batch).targets.length,
    };
    const actual = (size: number): number => this.#recorder.actualSize(size, sizes);
    return profile(() => this.accumulate(batch, position), { nodes: this.#recorder.graph.nodes, actual });
  }

  nextTokenLogits(inputIds: Int32Array): Float32Array {
    return this.#logitsAt(inputIds, Int32Array.of(inputIds.length - 1));
  }

  /** @returns [length, vocab], row-major */
  allLogits(inputIds: Int32Array): Float32Array {
    return this.#logitsAt(
      inputIds,
      inputIds.map((_, position) => position),
    );
  }

  read(): Map<string, TensorValues> {
    const [values] = this.#fetch(this.#trained.map(({ variable }) => [variable]));
    return new Map([...this.trainable].map(([name, { shape }]) => [name, { shape, data: values!.get(name)! }]));
  }

  assign(values: ReadonlyMap<string, Float32Array>): void {
    this.#assign(this.#values((name) => values.get(name)!));
  }

  moments(): Map<string, MomentValues> {
    this.#mustLearn();
    const [m, v] = this.#fetch(this.#trained.map(({ learning }) => [learning!.m, learning!.v]));
    return new Map([...this.trainable.keys()].map((name) => [name, { m: m!.get(name)!, v: v!.get(name)! }]));
  }

  /** Of the loss summed since the last update, by parameter. */
  gradients(): Map<string, Float32Array> {
    this.#mustLearn();
    const [gradients] = this.#fetch(this.#trained.map(({ learning }) => [learning!.gradients]));
    return gradients!;
  }

  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void {
    this.#mustLearn();
    this.#assign([
      ...this.#values((name) => parameters.get(name)!),
      ...this.#values((name) => moments.get(name)!.m, 'm'),
      ...this.#values((name) => moments.get(name)!.v, 'v'),
    ]);
    this.#steps = steps;
  }

  dispose(): void {
    this.#session.dispose();
  }

  #mustLearn(): Learning {
    if (this.#learning === null) throw new Error('this model was opened for inference');
    return this.#learning;
  }

  /** What is computed in one run each. */
  #runs(): Output[][] {
    return [this.#evaluation, [this.#logits], ...(this.#learning === null ? [] : [this.#learning.pass, [this.#learning.update]])];
  }

  /** Everything that will be asked of the session. */
  #allFetches(): Output[] {
    const held = [...this.#base, ...this.#trained].flatMap(({ variable }) => [variable.exactValue, variable.assigned]);
    const state = this.#trained.flatMap(({ learning }) => (learning === null ? [] : [learning.m, learning.v, learning.gradients]));
    const ofState = state.flatMap(({ value, assigned, zeroed }) => [value, assigned, zeroed]);
    return [...this.#runs().flat(), ...held, ...ofState];
  }

  /** @param part what of the trained slabs is given: themselves, or what the optimizer keeps */
  #values(valuesOf: (name: string) => Float32Array, part?: 'm' | 'v'): FilledSlab[] {
    const fill: Fill = (name, held) => held.set(valuesOf(name));
    return this.#trained.map(({ slab, variable, learning }) => ({ slab, variable: part === undefined ? variable : learning![part], fill }));
  }

  #assign(given: readonly FilledSlab[], alsoFetched: readonly Output[] = []): void {
    tf.tidy(() => {
      const feeds = given.map(({ slab, variable, fill }) => {
        const content = laidOut(slab, fill, givenClass(variable));
        return [`${variable.name}/given`, uploaded(asGiven(variable, content))];
      });
      this.#session.run(Object.fromEntries(feeds), [...given.map(({ variable }) => variable.assigned), ...alsoFetched]);
    });
  }

  /** @returns for each variable of a slab, all slabs' values by name */
  #fetch(variables: readonly (readonly SessionVariable[])[]): Map<string, Float32Array>[] {
    const tensors = this.#session.run(
      {},
      variables.flatMap((ofSlab) => ofSlab.map(({ value }) => value)),
    );
    const contents = tensors.map((tensor) => tensor.dataSync<'float32'>());
    tf.dispose(tensors);
    const each = variables[0]?.length ?? 0;
    return Array.from({ length: each }, (_, kind) => {
      const parts = this.#trained.flatMap(({ slab }, index) => [...partsOf(slab, contents[index * each + kind]!)]);
      return new Map(parts);
    });
  }

  #logitsAt(inputIds: Int32Array, positions: Int32Array): Float32Array {
    return tf.tidy(() => {
      const feeds = { ...this.#gridFeeds({ rows: 1, length: inputIds.length, inputIds }), [FEEDS.supervised]: tf.tensor1d(positions, 'int32') };
      return this.#session.run(feeds, [this.#logits])[0]!.dataSync<'float32'>();
    }) as unknown as Float32Array;
  }

  #pass(batch: Batch, fetches: Output[], position?: DropoutPosition): Losses {
    const supervised = supervisedPositions(batch);
    const supervisedTokens = supervised.targets.length;
    if (supervisedTokens === 0) return { lossSum: 0, correct: 0, supervisedTokens };
    return tf.tidy(() => {
      const values = this.#session.run(this.#feeds(batch, supervised, position), fetches);
      const [lossSum, correct] = values.map((tensor) => tensor.dataSync()[0]!) as [number, number];
      return { lossSum, correct, supervisedTokens };
    }) as unknown as Losses;
  }

  #feeds(batch: Batch, { positions, targets }: SupervisedPositions, position?: DropoutPosition): Record<string, Tensor> {
    const sizes = partSizes(targets.length, { vocabSize: this.config.vocabSize, trainedHead: this.#trainsHead });
    return {
      ...this.#gridFeeds(batch),
      [FEEDS.supervised]: tf.tensor1d(positions, 'int32'),
      [FEEDS.targets]: tf.tensor1d(targets, 'int32'),
      [FEEDS.supervisedCount]: tf.scalar(targets.length, 'int32'),
      [FEEDS.partSizes]: tf.tensor1d(sizes, 'int32'),
      ...(position === undefined ? {} : { [FEEDS.dropoutKey]: dropoutKey(position) }),
    };
  }

  #gridFeeds(content: GridContent): Record<string, Tensor> {
    const grid = tokenGrid(content, this.config);
    const frequencies = rotariesOf(this.config).map((rotary, index) => [FEEDS.frequencies(index), grid.frequencies.get(rotary)!]);
    return {
      [FEEDS.rows]: tf.scalar(content.rows, 'int32'),
      [FEEDS.length]: tf.scalar(content.length, 'int32'),
      [FEEDS.inputIds]: grid.inputIds,
      [FEEDS.positions]: grid.positions,
      [FEEDS.segments]: grid.segments,
      ...Object.fromEntries(frequencies),
    };
  }
}
