/** What is trained in a session: parameters, the sums of their gradients and the state of their optimizer, together and by name. */
import { type Tensor, tf } from '../tensorflow/tensorflow.ts';
import type { Moment, MomentValues, TensorValues, Update } from '../tuning/tuned-model.ts';
import { type RecordedUpdate, type TrainedVariables, updateScalars } from './adamw-update.ts';
import { assignMoments, fetchMoments, type SlabMoment, variablesOf } from './moments.ts';
import type { Output } from './recording/graph.ts';
import { assignSlabs, type FilledSlab, type HeldSlab, valuesOf } from './session/held-slabs.ts';
import type { GraphSession } from './session/session.ts';
import type { SessionVariable } from './session/session-variable.ts';
import { slabWindow } from './session/slab-window.ts';
import { filledFrom } from './slab.ts';

/** A trained slab, with its optimizer state. */
export interface TrainedSlab extends HeldSlab {
  learning: TrainedVariables | null;
}

/** AdamW for some slabs. */
export interface RecordedOptimizer {
  update: RecordedUpdate;
  weightDecay: number;
}

export interface LearnerParts {
  trained: readonly TrainedSlab[];
  /** Shapes of what is trained, sorted by name. */
  trainable: ReadonlyMap<string, { readonly shape: readonly number[] }>;
  /** null for inference: there are no gradients and no moments. */
  optimizer: RecordedOptimizer | null;
}

export class Learner {
  readonly #session: GraphSession;
  readonly #parts: LearnerParts;
  #steps = 0;
  /** Whether there are variables for the sums of gradients. */
  #holdsGradients: boolean;

  /** @param holdsGradients whether the sums of gradients are set, as by `zeroedState`; otherwise their memory is taken when they are needed first */
  constructor(session: GraphSession, parts: LearnerParts, holdsGradients = true) {
    this.#holdsGradients = holdsGradients;
    this.#session = session;
    this.#parts = parts;
  }

  /** Number of updates so far. */
  get steps(): number {
    return this.#steps;
  }

  /** As `LearningModel.update`. */
  update(step: Update): number {
    const norm = this.norm(step.weight);
    if (!Number.isFinite(norm)) {
      this.discard();
      return norm;
    }
    const { update, weightDecay } = this.#mustLearn();
    this.#steps += 1;
    return this.#runScalars(updateScalars({ ...step, norm, t: this.#steps }, weightDecay), update.step);
  }

  /** @returns the norm of the gradients' mean. @param weight what their sum is divided by */
  norm(weight: number): number {
    return this.#runScalars({ one_over_weight: 1 / weight }, this.#mustLearn().update.norm);
  }

  /**
   * Takes a step within a pass, without clipping.
   * @param run with what is to be fed besides the pass. @returns what it returns; if it returns null, the step was not taken
   */
  stepWithin<T>({ learningRate, weight }: Omit<Update, 'maxNorm'>, run: (feeds: Record<string, Tensor>) => T | null): T | null {
    const { weightDecay } = this.#mustLearn();
    const scalars = updateScalars({ learningRate, weight, maxNorm: 0, norm: 0, t: this.#steps + 1 }, weightDecay);
    const result = run(Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tf.scalar(value)])));
    if (result !== null) this.#steps += 1;
    return result;
  }

  /** Takes the memory for sums of gradients, if they do not have it yet. */
  holdGradients(): void {
    if (this.#holdsGradients) return;
    this.#holdsGradients = true;
    this.discard();
  }

  /** Forgets the gradients since the last update. */
  discard(): void {
    if (!this.#holdsGradients) return;
    tf.dispose(
      this.#session.run(
        {},
        this.#parts.trained.map(({ learning }) => learning!.gradients.zeroed),
      ),
    );
  }

  read(): Map<string, TensorValues> {
    const values = valuesOf(this.#session, this.#parts.trained);
    return new Map([...this.#parts.trainable].map(([name, { shape }]) => [name, { shape, data: values.get(name)! }]));
  }

  /** @param read a parameter's values, by its name. @returns the slabs of all parameters, to be assigned */
  filledWith(read: (name: string) => Float32Array): FilledSlab[] {
    const fill = filledFrom(read);
    return this.#parts.trained.map(({ slab, variable }) => ({ slab, variable, fill }));
  }

  /** As `read`, but each value is fetched when it is asked for. */
  readLazily(): Map<string, TensorValues> {
    const { trained, trainable } = this.#parts;
    const slabs = trained.map(({ slab }) => slab);
    const read = slabWindow(slabs, (number) => valuesOf(this.#session, [trained[number]!]));
    const lazy = ([name, { shape }]: [string, { readonly shape: readonly number[] }]): [string, TensorValues] => [
      name,
      {
        shape,
        get data() {
          return read(name);
        },
      },
    ];
    return new Map([...trainable].map(lazy));
  }

  /** As `moments`, but each moment is fetched when it is asked for. */
  momentsLazily(): Map<string, MomentValues> {
    const slabs = this.#parts.trained.map(({ slab }) => slab);
    const [ofM, ofV] = (['m', 'v'] as const).map((kind) => {
      const moments = this.#moments(kind);
      return slabWindow(slabs, (number) => fetchMoments(this.#session, [moments[number]!]));
    }) as [(name: string) => Moment, (name: string) => Moment];
    const lazy = (name: string): MomentValues => ({
      get m() {
        return ofM(name);
      },
      get v() {
        return ofV(name);
      },
    });
    return new Map([...this.#parts.trainable.keys()].map((name) => [name, lazy(name)]));
  }

  moments(): Map<string, MomentValues> {
    this.#mustLearn();
    const [m, v] = [fetchMoments(this.#session, this.#moments('m')), fetchMoments(this.#session, this.#moments('v'))];
    return new Map([...this.#parts.trainable.keys()].map((name) => [name, { m: m.get(name)!, v: v.get(name)! }]));
  }

  /** Sum of the loss's gradients since the last update, by parameter. */
  gradients(): Map<string, Float32Array> {
    this.#mustLearn();
    return valuesOf(
      this.#session,
      this.#parts.trained.map(({ slab, learning }) => ({ slab, variable: learning!.gradients })),
    );
  }

  restore(steps: number, parameters: ReadonlyMap<string, Float32Array>, moments: ReadonlyMap<string, MomentValues>): void {
    this.#mustLearn();
    assignSlabs(
      this.#session,
      this.filledWith((name) => parameters.get(name)!),
    );
    for (const kind of ['m', 'v'] as const) assignMoments(this.#session, this.#moments(kind), (name) => moments.get(name)![kind]);
    this.#steps = steps;
  }

  #mustLearn(): RecordedOptimizer {
    if (this.#parts.optimizer === null) throw new Error('this model was opened for inference');
    return this.#parts.optimizer;
  }

  #moments(kind: 'm' | 'v'): SlabMoment[] {
    return this.#parts.trained.map(({ slab, learning }) => ({ slab, moment: learning![kind] }));
  }

  /** @returns the value of an output that depends on the session's variables and some numbers */
  #runScalars(scalars: Readonly<Record<string, number>>, output: Output): number {
    return tf.tidy(() => {
      const feeds = Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, tf.scalar(value)]));
      return this.#session.run(feeds, [output])[0]!.dataSync()[0]!;
    }) as unknown as number;
  }
}

/** What new slabs have zeros in: moments and, unless their memory is to be taken later, gradients. */
export const zeroedState = (trained: readonly TrainedSlab[], holdsGradients = true): SessionVariable[] =>
  trained.flatMap(({ learning }) => (learning === null ? [] : stateOf(learning, holdsGradients)));

/** Moments and gradients. */
export const stateOf = ({ m, v, gradients }: TrainedVariables, holdsGradients = true): SessionVariable[] => [
  ...variablesOf(m),
  ...variablesOf(v),
  ...(holdsGradients ? [gradients] : []),
];
