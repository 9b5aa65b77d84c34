/** One pass of a model over a batch of any size, recorded: its losses, and the gradients of what is trained. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { Decoder, type TokenGrid } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { rotariesOf } from '../model/token-grid.ts';
import { crossEntropy, partSizes, softCapped } from '../objectives/cross-entropy.ts';
import { type Scalar, type Tensor, type Tensor1D, type Tensor2D, tf, type Variable } from '../tensorflow/tensorflow.ts';
import type { Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import { recompute } from './rewriting/recompute.ts';

/** Names of what a pass is fed. */
export const FEEDS = {
  rows: 'rows',
  length: 'length',
  inputIds: 'input_ids',
  positions: 'positions',
  segments: 'segments',
  supervised: 'supervised',
  targets: 'targets',
  supervisedCount: 'supervised_count',
  partSizes: 'part_sizes',
  dropoutKey: 'dropout_key',
  frequencies: (index: number) => `frequencies_${index}`,
} as const;

export interface RecordedPass {
  lossSum: Output;
  correct: Output;
  /** Of the summed loss, by name; none without gradients. */
  gradients: Map<string, Output>;
}

/** What a pass reads, declared once for all passes of a graph. */
export interface PassFeeds {
  grid: TokenGrid;
  /** [supervised] int32 into [rows · length] */
  supervised: Tensor1D;
  /** [supervised] int32 */
  targets: Tensor1D;
  /** [parts] int32 */
  partSizes: Tensor1D;
  /** [2] int32 */
  dropoutKey: Tensor1D;
}

/** The sizes that vary, as primes that divide none of the model's own sizes. */
export function feedsOfPass(
  recorder: Recorder,
  config: ModelConfig,
  { fixedSizes, trainedHead }: { fixedSizes: Iterable<number>; trainedHead: boolean },
): PassFeeds {
  const [rows, length, supervised] = primesBeside(fixedSizes) as [number, number, number];
  recorder.size(FEEDS.rows, rows);
  recorder.size(FEEDS.length, length);
  recorder.size(FEEDS.supervisedCount, supervised);
  const frequencies = rotariesOf(config).map(
    (rotary, index) => [rotary, recorder.feed(FEEDS.frequencies(index), 'float32', [rotary.dimensions / 2]) as Tensor1D] as const,
  );
  return {
    grid: {
      inputIds: recorder.feed(FEEDS.inputIds, 'int32', [rows * length]) as Tensor1D,
      positions: recorder.feed(FEEDS.positions, 'int32', [rows, length]) as Tensor2D,
      segments: recorder.feed(FEEDS.segments, 'int32', [rows, length]) as Tensor2D,
      frequencies: new Map(frequencies),
    },
    supervised: recorder.feed(FEEDS.supervised, 'int32', [supervised]) as Tensor1D,
    targets: recorder.feed(FEEDS.targets, 'int32', [supervised]) as Tensor1D,
    partSizes: recorder.feed(FEEDS.partSizes, 'int32', [partSizes(0, { vocabSize: config.vocabSize, trainedHead }).length]) as Tensor1D,
    dropoutKey: recorder.feed(FEEDS.dropoutKey, 'int32', [2]) as Tensor1D,
  };
}

interface PassOptions {
  config: ModelConfig;
  parameters: Parameters;
  /** By name, bound to the recorder; with none the pass has no gradients. */
  trainable: ReadonlyMap<string, Variable>;
  /** Whether blocks are computed again in the backward half instead of kept. */
  checkpointing?: boolean;
}

export function recordPass(
  recorder: Recorder,
  { grid, supervised, targets, partSizes }: PassFeeds,
  { config, parameters, trainable, checkpointing = false }: PassOptions,
): RecordedPass {
  const decoder = new Decoder(config);
  const losses = () => {
    const states = decoder.statesAt(grid, supervised, parameters);
    const options = { withGradient: trainable.size > 0, softCap: config.logitSoftCap };
    return crossEntropy({ states, head: decoder.head(parameters), targets, partSizes }, options);
  };
  let pass: RecordedPass | undefined;
  let begin = 0;
  recorder.record(() =>
    tf.tidy(() => {
      if (trainable.size === 0) {
        const { lossSum, correct } = losses();
        pass = { lossSum: recorder.outputOf(lossSum), correct: recorder.outputOf(correct), gradients: new Map() };
        return;
      }
      let correct: Scalar | undefined;
      const { value, grads } = tf.variableGrads(() => {
        const both = losses();
        correct = both.correct;
        begin = recorder.graph.nodes.length;
        return both.lossSum;
      }, [...trainable.values()]);
      const gradients = new Map([...trainable].map(([name, variable]) => [name, recorder.outputOf(grads[variable.name] as Tensor)]));
      pass = { lossSum: recorder.outputOf(value), correct: recorder.outputOf(correct!), gradients };
      correct!.dispose(); // crossEntropy keeps it
    }),
  );
  if (trainable.size > 0) {
    const checkpoints = checkpointing ? recorder.checkpoints : null;
    recompute(recorder.graph, { begin, end: recorder.graph.nodes.length, checkpoints });
  }
  return pass!;
}

/** @returns [supervised, vocab], what is predicted after each position */
export function recordLogits(
  recorder: Recorder,
  { grid, supervised }: PassFeeds,
  { config, parameters }: { config: ModelConfig; parameters: Parameters },
): Output {
  const decoder = new Decoder(config);
  let logits: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      const products: Tensor2D = tf.matMul(decoder.statesAt(grid, supervised, parameters), decoder.head(parameters), false, true);
      logits = recorder.outputOf(softCapped(products, config.logitSoftCap));
    }),
  );
  return logits!;
}

/** Above any number of operands, which stand in shapes too. */
const FIRST_PRIME = 211;

/** Three primes that divide none of the sizes, so that a multiple of one in a shape can only be what varies. */
function primesBeside(sizes: Iterable<number>): number[] {
  const fixed = [...new Set(sizes)];
  const found: number[] = [];
  for (let candidate = FIRST_PRIME; found.length < 3; candidate += 2) {
    const prime = Array.from({ length: Math.floor(Math.sqrt(candidate)) - 1 }, (_, index) => index + 2).every((divisor) => candidate % divisor !== 0);
    if (prime && fixed.every((size) => size % candidate !== 0)) found.push(candidate);
  }
  return found;
}
