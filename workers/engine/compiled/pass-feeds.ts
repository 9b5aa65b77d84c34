/** What a pass is fed: its feeds, declared once for all passes of a graph, and their values for each batch. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import type { Batch } from '../data/batch.ts';
import type { TokenGrid } from '../model/decoder.ts';
import { dependsOnLength } from '../model/rope.ts';
import { type GridContent, rotariesOf, tokenGrid } from '../model/token-grid.ts';
import { type FedBatch, fedTensors, type Objective, type ObjectiveContext } from '../objectives/objective.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import type { Recorder } from './recording/recorder.ts';

/** Names of a pass's feeds. */
export const FEEDS = {
  rows: 'rows',
  length: 'length',
  inputIds: 'input_ids',
  positions: 'positions',
  segments: 'segments',
  frequencies: (index: number) => `frequencies_${index}`,
  dropoutKey: 'dropout_key',
  noiseScales: 'noise_scales',
  /** The positions whose logits are computed, and their number. */
  logitPositions: 'logit_positions',
  logitCount: 'logit_count',
  /** @param name the objective's own */
  objectiveInput: (name: string) => `objective/${name}`,
  objectiveSize: (name: string) => `objective/sizes/${name}`,
} as const;

/** The tensors that a pass reads. */
export interface PassFeeds {
  /** Placeholders of sizes that vary, by the names of their feeds. */
  sizes: ReadonlyMap<string, number>;
  grid: TokenGrid;
  /** [2] int32 */
  dropoutKey: Tensor1D;
  /** [rows · length], of the noise on embeddings */
  noiseScales: Tensor1D;
  /** [logit_count] int32 into [rows · length] */
  logitPositions: Tensor1D;
  /** The objective's inputs, by its names. */
  objectiveInputs: Readonly<Record<string, Tensor>>;
}

interface FeedOptions extends ObjectiveContext {
  objective: Objective;
  /** Every size in the model's tensors. */
  fixedSizes: Iterable<number>;
  /** Names of further sizes that vary; default: none. */
  moreSizes?: readonly string[];
}

/** Declares a pass's feeds. Sizes that vary are recorded as primes that divide none of the model's own sizes. */
export function declareFeeds(recorder: Recorder, { objective, fixedSizes, moreSizes = [], ...context }: FeedOptions): PassFeeds {
  const feeds = Object.entries(objective.feeds(context));
  const objectiveSizes = new Set(feeds.flatMap(([, { shape }]) => shape.filter((size) => typeof size === 'string')));
  const varying = [FEEDS.rows, FEEDS.length, FEEDS.logitCount, ...[...objectiveSizes].map(FEEDS.objectiveSize), ...moreSizes];
  const primes = primesDividingNone(fixedSizes, varying.length);
  const sizes = new Map(varying.map((name, index) => [name, primes[index]!]));
  for (const [name, prime] of sizes) recorder.size(name, prime);
  const [rows, length, logitCount] = primes as [number, number, number];
  const frequencies = rotariesOf(context.config).map((rotary, index) => {
    const ofRow = rotary.dimensions / 2;
    return [rotary, recorder.feed(FEEDS.frequencies(index), 'float32', dependsOnLength(rotary) ? [rows, ofRow] : [ofRow])] as const;
  });
  return {
    sizes,
    grid: {
      inputIds: recorder.feed(FEEDS.inputIds, 'int32', [rows * length]) as Tensor1D,
      positions: recorder.feed(FEEDS.positions, 'int32', [rows, length]) as Tensor2D,
      segments: recorder.feed(FEEDS.segments, 'int32', [rows, length]) as Tensor2D,
      frequencies: new Map(frequencies),
    },
    dropoutKey: recorder.feed(FEEDS.dropoutKey, 'int32', [2]) as Tensor1D,
    noiseScales: recorder.feed(FEEDS.noiseScales, 'float32', [rows * length]) as Tensor1D,
    logitPositions: recorder.feed(FEEDS.logitPositions, 'int32', [logitCount]) as Tensor1D,
    objectiveInputs: Object.fromEntries(
      feeds.map(([name, { dtype, shape }]) => {
        const recorded = shape.map((size) => (typeof size === 'string' ? sizes.get(FEEDS.objectiveSize(size))! : size));
        return [name, recorder.feed(FEEDS.objectiveInput(name), dtype, recorded)];
      }),
    ),
  };
}

/** The feeds of the token grid for one batch. */
export function gridFeeds(content: GridContent, config: ModelConfig): Record<string, Tensor> {
  const grid = tokenGrid(content, config);
  const frequencies = rotariesOf(config).map((rotary, index) => [FEEDS.frequencies(index), grid.frequencies.get(rotary)!]);
  return {
    [FEEDS.rows]: tf.scalar(content.rows, 'int32'),
    [FEEDS.length]: tf.scalar(content.length, 'int32'),
    [FEEDS.inputIds]: grid.inputIds,
    [FEEDS.positions]: grid.positions,
    [FEEDS.segments]: grid.segments,
    ...Object.fromEntries(frequencies),
  };
}

/** @returns what a pass is fed, as tensors and as the objective gave it; null if the batch has nothing to learn */
export function passFeeds(objective: Objective, batch: Batch, context: ObjectiveContext): { tensors: Record<string, Tensor>; fed: FedBatch } | null {
  const fed = objective.feed(batch, context);
  return fed && { tensors: { ...gridFeeds(batch, context.config), ...objectiveFeeds(objective, fed, context) }, fed };
}

/** @param positions in [rows · length] of the tokens after which logits are wanted */
export const logitFeeds = (content: GridContent, positions: Int32Array, config: ModelConfig): Record<string, Tensor> => ({
  ...gridFeeds(content, config),
  [FEEDS.logitPositions]: tf.tensor1d(positions, 'int32'),
  [FEEDS.logitCount]: tf.scalar(positions.length, 'int32'),
});

/** @returns the sizes of a batch that vary, by the names of their feeds */
export function passSizes(objective: Objective, batch: Batch, context: ObjectiveContext): Record<string, number> {
  const sizes = Object.entries(objective.feed(batch, context)?.sizes ?? {}).map(([name, size]) => [FEEDS.objectiveSize(name), size] as const);
  return { [FEEDS.rows]: batch.rows, [FEEDS.length]: batch.length, ...Object.fromEntries(sizes) };
}

/** The feeds of the objective for one batch. */
function objectiveFeeds(objective: Objective, fed: FedBatch, context: ObjectiveContext): Record<string, Tensor> {
  const tensors = Object.entries(fedTensors(objective, fed, context));
  const inputs = tensors.map(([name, tensor]) => [FEEDS.objectiveInput(name), tensor] as const);
  const scalars = Object.entries(fed.sizes).map(([name, size]) => [FEEDS.objectiveSize(name), tf.scalar(size, 'int32')] as const);
  return Object.fromEntries<Tensor>([...inputs, ...scalars]);
}

/** Larger than any number of operands, because shapes contain those too. */
const FIRST_PRIME = 211;

/** Primes that divide none of the sizes, so that a multiple of one in a shape can only be a size that varies. */
export function primesDividingNone(sizes: Iterable<number>, count: number): number[] {
  const fixed = [...new Set(sizes)];
  const primes: number[] = [];
  for (let candidate = FIRST_PRIME; primes.length < count; candidate += 2) {
    const prime = Array.from({ length: Math.floor(Math.sqrt(candidate)) - 1 }, (_, index) => index + 2).every((divisor) => candidate % divisor !== 0);
    if (prime && fixed.every((size) => size % candidate !== 0)) primes.push(candidate);
  }
  return primes;
}
