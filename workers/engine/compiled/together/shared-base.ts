/** One base model that several runs train their adapters on. The session of one graph holds the only copy of its weights. */
import type { ModelConfig } from '../../../../src/formats/model-config.ts';
import { type Batch, type Example, tokensIn } from '../../data/batch.ts';
import { microBatches } from '../../data/batches.ts';
import { inMemory } from '../../data/example-store.ts';
import { packingOf } from '../../data/packing.ts';
import type { GridContent } from '../../model/token-grid.ts';
import { addSums, NO_SUMS, type Sums } from '../../objectives/objective.ts';
import { tf } from '../../tensorflow/tensorflow.ts';
import { tidyValues } from '../../tensorflow/tidy-values.ts';
import type { NamedValues } from '../../tuning/tuned-model.ts';
import { stateFetches } from '../fetches.ts';
import { Learner, zeroedState } from '../learner.ts';
import { logitFeeds, passFeeds } from '../pass-feeds.ts';
import { assignQuantized } from '../quantized-weights.ts';
import { fuseRows } from '../rewriting/fuse.ts';
import { assignSlabs } from '../session/held-slabs.ts';
import { GraphSession } from '../session/session.ts';
import { type Fill, filledFrom } from '../slab.ts';
import { type Pace, PaceFinder } from './pace.ts';
import { OWNERS, type RecordedMembers, recordMembers, type SharedChoices } from './recorded-members.ts';
import { Rounds, type Waiting } from './rounds.ts';

/** The owner of padding. */
const NOBODY = -1;

type Pass = Waiting<Batch, Sums>;
type Kind = 'evaluation' | 'training';

export interface SharedBaseOptions extends SharedChoices {
  /** Reads a weight of the base model. */
  readWeight: Fill;
  /** Called when it is known whether it pays to share passes; without it they are shared. */
  paced?: (pace: Pace) => void;
}

export class SharedBase {
  readonly config: ModelConfig;
  readonly objective: SharedChoices['objective'];
  readonly learners: readonly Learner[];
  readonly recorded: RecordedMembers;
  readonly #session: GraphSession;
  readonly #rounds = new Rounds<Batch, Sums>((waiting) => this.#compute(waiting));
  readonly #users: Set<number>;
  readonly #pace: PaceFinder | null;

  constructor({ readWeight, paced, ...choices }: SharedBaseOptions) {
    const recorded = recordMembers(choices);
    const { graph, frozen, quantized, members } = recorded;
    this.config = choices.config;
    this.objective = choices.objective;
    this.recorded = recorded;
    this.#users = new Set(members.keys());
    this.#pace = paced === undefined ? null : new PaceFinder(paced);
    fuseRows(graph, runsOf(recorded));
    this.#session = new GraphSession(graph, fetchesOf(recorded));
    this.learners = members.map((parts) => new Learner(this.#session, parts));
    try {
      const added = members.flatMap(({ trained, initial }) => {
        const fill = filledFrom((name) => initial.get(name)!);
        return trained.map((held) => ({ ...held, fill }));
      });
      assignSlabs(this.#session, [...frozen.map((held) => ({ ...held, fill: readWeight })), ...added]);
      assignQuantized(this.#session, quantized, { ...choices, readWeight });
      this.#session.zero(members.flatMap(({ trained }) => zeroedState(trained)));
    } catch (error) {
      this.#session.dispose();
      throw error;
    }
  }

  assign(member: number, values: NamedValues): void {
    assignSlabs(
      this.#session,
      this.learners[member]!.filledWith((name) => values.get(name)!),
    );
  }

  /** Runs a pass of one member alone; one of training adds its gradients. */
  runAlone(member: number, batch: Batch, kind: Kind): Sums {
    return this.#run(batch, new Int32Array(batch.rows * batch.length).fill(member), kind).get(member) ?? NO_SUMS;
  }

  /** Runs a training pass in a round with other members' and adds its gradients. */
  accumulate(member: number, batch: Batch): Promise<Sums> {
    return this.#rounds.next(member, batch);
  }

  away(member: number): void {
    this.#rounds.away(member);
  }

  active(): void {
    this.#rounds.active();
  }

  /** @returns [positions, vocab], row-major. @param positions in [rows · length] */
  logitsAt(member: number, content: GridContent, positions: Int32Array): Float32Array {
    return tidyValues(() => {
      const owners = tf.fill([content.rows * content.length], member, 'int32');
      const feeds = { ...logitFeeds(content, positions, this.config), [OWNERS]: owners };
      return this.#session.run(feeds, [this.recorded.logits])[0]!.dataSync<'float32'>();
    });
  }

  /** Frees the base when the last member leaves. */
  leave(member: number): void {
    this.#rounds.away(member);
    if (this.#users.delete(member) && this.#users.size === 0) this.#session.dispose();
  }

  /** Rounds of fewer than all runs, as when one evaluates, tell nothing about the pace. */
  #compute(waiting: readonly Pass[]): void {
    const isMeasured = this.#pace !== null && waiting.length > 1 && waiting.length === this.#users.size;
    const way = this.#pace?.next(this.#users.size) ?? 'shared';
    const startedMs = performance.now();
    if (way === 'shared') this.#computeShared(waiting);
    else for (const pass of waiting) this.#computeShared([pass]);
    const tokens = waiting.reduce((sum, { work }) => sum + tokensOf(work), 0);
    if (isMeasured) this.#pace!.took(way, { seconds: (performance.now() - startedMs) / 1000, tokens });
  }

  /** The sequences of all passes are packed anew, so that they fill as few passes as possible. */
  #computeShared(waiting: readonly Pass[]): void {
    try {
      const sums = new Map<number, Sums>();
      for (const { batch, owners } of packedTogether(waiting, this))
        for (const [member, ofPass] of this.#run(batch, owners, 'training')) sums.set(member, addSums(sums.get(member) ?? NO_SUMS, ofPass));
      for (const { member, settle } of waiting) settle.resolve(sums.get(member) ?? NO_SUMS);
    } catch (error) {
      for (const { settle } of waiting) settle.reject(error);
    }
  }

  /** @param owners [rows · length], of each token. @returns the sums of each member's tokens */
  #run(batch: Batch, owners: Int32Array, kind: Kind): Map<number, Sums> {
    const { sums, tokens } = this.recorded[kind];
    const ofMembers = new Map<number, Sums>();
    tf.tidy(() => {
      const pass = passFeeds(this.objective, batch, this.recorded.context);
      if (pass === null) return;
      const feeds = { ...pass.tensors, [OWNERS]: tf.tensor1d(owners, 'int32') };
      const [, ...values] = this.#session.run(feeds, [sums['loss']!, ...Object.values(tokens)]).map((tensor) => tensor.dataSync());
      const perToken = Object.fromEntries(Object.keys(tokens).map((name, index) => [name, values[index]!]));
      for (const member of new Set(owners))
        if (member !== NOBODY)
          ofMembers.set(
            member,
            this.objective.sumsOf!(pass.fed, perToken, (position) => owners[position] === member),
          );
    });
    return ofMembers;
  }
}

/** @returns passes that hold the sequences of all, with the owner of each of their tokens */
function* packedTogether(waiting: readonly Pass[], model: Pick<SharedBase, 'config' | 'objective'>): Generator<{ batch: Batch; owners: Int32Array }> {
  const ownerOf = new Map<Example, number>();
  for (const { member, work } of waiting) for (const sequence of work.contents!.flat()) ownerOf.set(sequence, member);
  const [only] = waiting;
  const batches = waiting.length === 1 ? [only!.work] : microBatches(inMemory([...ownerOf.keys()]), packingOf({ ...model, tuning: null }));
  for (const batch of batches) yield { batch, owners: ownersIn(batch, ownerOf) };
}

const tokensOf = ({ contents }: Batch): number => tokensIn(contents!.flat());

function ownersIn({ rows, length, contents }: Batch, ownerOf: ReadonlyMap<Example, number>): Int32Array {
  const owners = new Int32Array(rows * length).fill(NOBODY);
  for (const [row, sequences] of contents!.entries()) {
    let at = row * length;
    for (const sequence of sequences) {
      owners.fill(ownerOf.get(sequence)!, at, at + sequence.inputIds.length);
      at += sequence.inputIds.length;
    }
  }
  return owners;
}

function runsOf({ evaluation, logits, training, members }: RecordedMembers) {
  const passes = [evaluation, training].map(({ sums, tokens }) => [sums['loss']!, ...Object.values(tokens)]);
  return [...passes, [logits], ...members.flatMap(({ optimizer }) => [[optimizer!.update.norm], [optimizer!.update.step]])];
}

const fetchesOf = (recorded: RecordedMembers) => [
  ...runsOf(recorded).flat(),
  ...stateFetches(
    [...recorded.frozen, ...recorded.quantized],
    recorded.members.flatMap(({ trained }) => trained),
  ),
];
