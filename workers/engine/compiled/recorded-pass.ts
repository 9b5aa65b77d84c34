/** Records one pass of a model over a batch of any size: the sums of its objective, and the gradients of what is trained. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { Decoder, type TokenGrid } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { rotariesOf } from '../model/token-grid.ts';
import { softCapped } from '../objectives/cross-entropy.ts';
import type { ComputedSums, Forward, Objective, ObjectiveContext } from '../objectives/objective.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import type { Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import { recompute } from './rewriting/recompute.ts';

/** Names of a pass's feeds. */
export const FEEDS = {
  rows: 'rows',
  length: 'length',
  inputIds: 'input_ids',
  positions: 'positions',
  segments: 'segments',
  frequencies: (index: number) => `frequencies_${index}`,
  dropoutKey: 'dropout_key',
  /** The positions whose logits are computed, and their number. */
  logitPositions: 'logit_positions',
  logitCount: 'logit_count',
  /** @param name the objective's own */
  objectiveInput: (name: string) => `objective/${name}`,
  objectiveSize: (name: string) => `objective/sizes/${name}`,
} as const;

/** The tensors that a pass reads, declared once for all passes of a graph. */
export interface PassFeeds {
  grid: TokenGrid;
  /** [2] int32 */
  dropoutKey: Tensor1D;
  /** [logit_count] int32 into [rows · length] */
  logitPositions: Tensor1D;
  /** The objective's inputs, by its names. */
  objectiveInputs: Readonly<Record<string, Tensor>>;
}

interface FeedOptions extends ObjectiveContext {
  objective: Objective;
  /** Every size in the model's tensors. */
  fixedSizes: Iterable<number>;
}

/** Declares a pass's feeds. Sizes that vary are recorded as primes that divide none of the model's own sizes. */
export function feedsOfPass(recorder: Recorder, { objective, fixedSizes, ...context }: FeedOptions): PassFeeds {
  const feeds = Object.entries(objective.feeds(context));
  const objectiveSizes = new Set(feeds.flatMap(([, { shape }]) => shape.filter((size) => typeof size === 'string')));
  const varying = [FEEDS.rows, FEEDS.length, FEEDS.logitCount, ...[...objectiveSizes].map(FEEDS.objectiveSize)];
  const primes = primesDividingNone(fixedSizes, varying.length);
  const sizes = new Map(varying.map((name, index) => [name, primes[index]!]));
  for (const [name, prime] of sizes) recorder.size(name, prime);
  const [rows, length, logitCount] = primes as [number, number, number];
  const frequencies = rotariesOf(context.config).map(
    (rotary, index) => [rotary, recorder.feed(FEEDS.frequencies(index), 'float32', [rotary.dimensions / 2]) as Tensor1D] as const,
  );
  return {
    grid: {
      inputIds: recorder.feed(FEEDS.inputIds, 'int32', [rows * length]) as Tensor1D,
      positions: recorder.feed(FEEDS.positions, 'int32', [rows, length]) as Tensor2D,
      segments: recorder.feed(FEEDS.segments, 'int32', [rows, length]) as Tensor2D,
      frequencies: new Map(frequencies),
    },
    dropoutKey: recorder.feed(FEEDS.dropoutKey, 'int32', [2]) as Tensor1D,
    logitPositions: recorder.feed(FEEDS.logitPositions, 'int32', [logitCount]) as Tensor1D,
    objectiveInputs: Object.fromEntries(
      feeds.map(([name, { dtype, shape }]) => {
        const recorded = shape.map((size) => (typeof size === 'string' ? sizes.get(FEEDS.objectiveSize(size))! : size));
        return [name, recorder.feed(FEEDS.objectiveInput(name), dtype, recorded)];
      }),
    ),
  };
}

export interface RecordedPass {
  /** `loss`, then the other sums that the objective computes. */
  sums: Readonly<Record<string, Output>>;
  /** Gradients of the loss, by parameter; empty if nothing is trained. */
  gradients: ReadonlyMap<string, Output>;
}

interface PassOptions {
  config: ModelConfig;
  objective: Objective;
  parameters: Parameters;
  /** By name, bound to the recorder; if empty, the pass has no gradients. */
  trainable: ReadonlyMap<string, Variable>;
  /** Whether the backward pass computes a block's activations again instead of keeping them. */
  checkpointing?: boolean;
}

export function recordPass(recorder: Recorder, feeds: PassFeeds, options: PassOptions): RecordedPass {
  const { config, objective, parameters, trainable, checkpointing = false } = options;
  const forward: Forward = { config, decoder: new Decoder(config), grid: feeds.grid, parameters };
  const compute = () => objective.compute(forward, feeds.objectiveInputs, { withGradient: trainable.size > 0 });
  const outputsOf = (loss: Scalar, others: ComputedSums['others']): Record<string, Output> =>
    Object.fromEntries(Object.entries({ loss, ...others }).map(([name, sum]) => [name, recorder.outputOf(sum)]));
  let pass: RecordedPass | undefined;
  let begin = 0;
  recorder.record(() =>
    tf.tidy(() => {
      if (trainable.size === 0) {
        const { loss, others } = compute();
        pass = { sums: outputsOf(loss, others), gradients: new Map() };
        return;
      }
      let others: ComputedSums['others'] = {};
      const { value, grads } = tf.variableGrads(() => {
        const sums = compute();
        others = sums.others;
        begin = recorder.graph.nodes.length;
        return sums.loss;
      }, [...trainable.values()]);
      const gradients = new Map([...trainable].map(([name, variable]) => [name, recorder.outputOf(grads[variable.name] as Tensor)]));
      pass = { sums: outputsOf(value, others), gradients };
      tf.dispose(others); // they outlive the tidy
    }),
  );
  if (trainable.size > 0) {
    const checkpoints = checkpointing ? recorder.checkpoints : null;
    recompute(recorder.graph, { begin, end: recorder.graph.nodes.length, checkpoints });
  }
  return pass!;
}

/** @returns [logit_count, vocab], the logits of the token after each position */
export function recordLogits(
  recorder: Recorder,
  { grid, logitPositions }: PassFeeds,
  { config, parameters }: { config: ModelConfig; parameters: Parameters },
): Output {
  const decoder = new Decoder(config);
  let logits: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      const products: Tensor2D = tf.matMul(decoder.statesAt(grid, logitPositions, parameters), decoder.head(parameters), false, true);
      logits = recorder.outputOf(softCapped(products, config.logitSoftCap));
    }),
  );
  return logits!;
}

/** Larger than any number of operands, because shapes contain those too. */
const FIRST_PRIME = 211;

/** Primes that divide none of the sizes, so that a multiple of one in a shape can only be a size that varies. */
function primesDividingNone(sizes: Iterable<number>, count: number): number[] {
  const fixed = [...new Set(sizes)];
  const primes: number[] = [];
  for (let candidate = FIRST_PRIME; primes.length < count; candidate += 2) {
    const prime = Array.from({ length: Math.floor(Math.sqrt(candidate)) - 1 }, (_, index) => index + 2).every((divisor) => candidate % divisor !== 0);
    if (prime && fixed.every((size) => size % candidate !== 0)) primes.push(candidate);
  }
  return primes;
}
