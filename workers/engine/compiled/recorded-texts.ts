/** Records how the model that is trained continues texts: with keys, values and states of their earlier tokens kept in the session. */
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { type ResolvedTuning, virtualTokens } from '../../../src/formats/tuning/tuning.ts';
import { Decoder } from '../model/decoder.ts';
import type { Parameters } from '../model/parameters.ts';
import { dependsOnLength } from '../model/rope.ts';
import { rotaryFrequencies } from '../model/rotary-frequencies.ts';
import { rotariesOf } from '../model/token-grid.ts';
import { backend } from '../tensorflow/backend.ts';
import { type Tensor, type Tensor1D, type Tensor2D, tf } from '../tensorflow/tensorflow.ts';
import { tidyValues } from '../tensorflow/tidy-values.ts';
import type { TextMemory } from '../tuning/tuned-model.ts';
import { DType, type Output } from './recording/graph.ts';
import type { Recorder } from './recording/recorder.ts';
import type { GraphSession } from './session/session.ts';
import { tokenRows } from './token-rows.ts';

/** Names of what is fed. */
const FEEDS = {
  tokens: 'texts/tokens',
  count: 'texts/count',
  inputIds: 'texts/input_ids',
  positions: 'texts/positions',
  slots: 'texts/slots',
  last: 'texts/last',
  released: 'texts/released',
  frequencies: (index: number) => `texts/frequencies_${index}`,
} as const;

/** Sizes that vary. */
export const TEXT_SIZES = [FEEDS.tokens, FEEDS.count] as const;

export interface RecordedTexts {
  /** [count], the most probable token after each text. */
  next: Output;
  /** Fetching it forgets texts. */
  release: Output;
}

/** Whether texts can be continued so: kernels for a CPU keep what was read, each token is one of the text's own, and its angles do not depend on what follows. */
export const remembersTexts = (config: ModelConfig, tuning: ResolvedTuning | null): boolean =>
  !backend.isUsingGpuDevice && (tuning === null || virtualTokens(tuning) === 0) && !rotariesOf(config).some(dependsOnLength);

interface TextOptions {
  config: ModelConfig;
  parameters: Parameters;
  /** Placeholders of `TEXT_SIZES`. */
  sizes: ReadonlyMap<string, number>;
}

export function recordTexts(recorder: Recorder, { config, parameters, sizes }: TextOptions): RecordedTexts {
  const [tokens, count] = TEXT_SIZES.map((name) => sizes.get(name)!) as [number, number];
  const grid = tokenRows(recorder, { config, tokens, feeds: FEEDS });
  const last = recorder.feed(FEEDS.last, 'int32', [count]) as Tensor1D;
  const decoder = new Decoder(config);
  let next: Output | undefined;
  recorder.record(() =>
    tf.tidy(() => {
      // A cap changes no order.
      const logits: Tensor2D = tf.matMul(decoder.statesAt(grid, last, parameters), decoder.head(parameters), false, true);
      next = recorder.outputOf(tf.argMax(logits, 1));
    }),
  );
  const released = recorder.graph.placeholder(FEEDS.released, DType.int32, [-1]);
  const release = recorder.graph.add('GraftCacheRelease', {}, [released], [released], { stateful: true }).outputs[0]!;
  return { next: next!, release };
}

/** @param session that holds the model and what it remembers */
export function openTextMemory(session: GraphSession, { next, release }: RecordedTexts, config: ModelConfig): TextMemory {
  const ints = (values: readonly number[], shape = [values.length]): Tensor => tf.tensor(Int32Array.from(values), shape, 'int32');
  return {
    next: (pieces) =>
      tidyValues(() => {
        const tokens = pieces.flatMap(({ ids }) => ids);
        let end = 0;
        const lasts = pieces.map(({ ids }) => {
          end += ids.length;
          return end - 1;
        });
        const positions = pieces.flatMap(({ ids, position }) => ids.map((_, index) => position + index));
        const feeds = {
          [FEEDS.tokens]: tf.scalar(tokens.length, 'int32'),
          [FEEDS.count]: tf.scalar(pieces.length, 'int32'),
          [FEEDS.inputIds]: ints(tokens),
          [FEEDS.positions]: ints(positions, [tokens.length, 1]),
          [FEEDS.slots]: ints(pieces.flatMap(({ ids, slot }) => ids.map(() => slot))),
          [FEEDS.last]: ints(lasts),
          ...Object.fromEntries(rotariesOf(config).map((rotary, index) => [FEEDS.frequencies(index), tf.tensor1d(rotaryFrequencies(rotary))])),
        };
        return session.run(feeds, [next])[0]!.dataSync<'int32'>();
      }),
    forget(slots) {
      tf.tidy(() => void session.run({ [FEEDS.released]: ints(slots) }, [release]));
    },
  };
}
