/** Continues texts with a key/value cache, on a CPU. The session of one graph holds the weights, the adapters and the cache. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { keptPerToken, stateSize } from '../../../src/formats/mixers.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { linearLayers } from '../../../src/formats/module-shapes.ts';
import { loraFormat, peftName } from '../../../src/formats/tuning/lora.ts';
import { loraLayers } from '../../../src/formats/tuning/lora-layers.ts';
import { settersOf } from '../compiled/fetches.ts';
import { heldIn } from '../compiled/open-model.ts';
import { assignSlabs } from '../compiled/session/held-slabs.ts';
import { GraphSession } from '../compiled/session/session.ts';
import { heldClass } from '../compiled/session/session-variable.ts';
import { type Fill, filledFrom } from '../compiled/slab.ts';
import { loadAdapter } from '../io/adapter.ts';
import { dependsOnLength } from '../model/rope.ts';
import { rotaryFrequencies } from '../model/rotary-frequencies.ts';
import { rotariesOf } from '../model/token-grid.ts';
import { openWeights, readModelConfig, type StoredWeights } from '../model/weights.ts';
import { openingForOneThread, type Tensor, tf } from '../tensorflow/tensorflow.ts';
import { methodOf, readAdapterTuning } from '../tuning/methods.ts';
import { OwnModels } from './own-models.ts';
import { FEEDS, type RecordedGeneration, recordGeneration } from './recorded-generation.ts';
import type { NewTokens, TokenPasses } from './token-passes.ts';

/** Tokens in a page of the cache: kPageTokens in kernels/key-value-cache.h. */
const PAGE_TOKENS = 64;
/** Longer pieces are hardly faster to read, and other texts wait for them. */
const READ_TOKENS = 128;
const F32_BYTES = 4;
/** Of adapters that are not applied row by row, which take as much memory as the base each. */
const OWN_MODELS = 2;
/** In place of an adapter's number. */
const NO_ADAPTER = -1;

export class CachedPasses implements TokenPasses {
  readonly config: ModelConfig;
  readonly readTokens = READ_TOKENS;
  readonly #recorded: RecordedGeneration;
  readonly #session: GraphSession;
  /** Bytes of each adapter, by its number. */
  readonly #adapters = new Map<number, number>();
  /** Those that are not applied row by row. */
  readonly #own: OwnModels;
  /** The number of pages of each slot. */
  readonly #pages = new Map<number, number>();
  #weightBytes = 0;
  #nextAdapter = 0;

  /** @throws Refusal `unsupported_architecture`, `corrupt_model_file` */
  constructor({ modelDir, precision }: { modelDir: string; precision: Precision }) {
    this.#own = new OwnModels({ modelDir, precision, most: OWN_MODELS });
    const weights = openWeights(modelDir, readModelConfig(modelDir));
    try {
      this.config = { ...weights.config, inputFirst: false };
      this.#recorded = recordGeneration({ config: this.config, precision, heldIn: heldIn(weights, { precision, products: precision }) });
      const { graph, frozen, read, next, release, assignAdapter, removeAdapter } = this.#recorded;
      const setters = frozen.flatMap(({ variable }) => settersOf(variable));
      this.#session = openingForOneThread(() => new GraphSession(graph, [read, next, release, assignAdapter, removeAdapter, ...setters]));
      try {
        this.#load(weights);
      } catch (error) {
        this.#session.dispose();
        throw error;
      }
    } finally {
      weights.close();
    }
  }

  read(text: NewTokens, end: number): Float32Array {
    if (this.#own.has(text.adapter)) return this.#own.logits(text, end);
    const positions = Array.from({ length: end - text.seen }, (_, index) => text.seen + index);
    const rows = positions.map((position) => ({ text, position }));
    return this.#logits(rows, this.#recorded.read)[0]!;
  }

  next(texts: readonly NewTokens[]): Float32Array[] {
    const together = texts.filter(({ adapter }) => !this.#own.has(adapter));
    const rows = together.map((text) => ({ text, position: text.seen }));
    const logits = together.length === 0 ? [] : this.#logits(rows, this.#recorded.next);
    const found = new Map(together.map((text, index) => [text, logits[index]!]));
    return texts.map((text) => found.get(text) ?? this.#own.logits(text, text.tokens.length));
  }

  isOutdated(seen: number, length: number): boolean {
    // As in transformers: LongRoPE rotates all keys of a long text anew, while dynamic scaling leaves earlier ones as they are.
    return rotariesOf(this.config).some(
      ({ scaling }) => scaling?.type === 'longrope' && seen <= scaling.originalMaxPositionTokens && length > scaling.originalMaxPositionTokens,
    );
  }

  release(slot: number): void {
    this.#pages.delete(slot);
    this.#run({ [FEEDS.released]: tf.tensor1d([slot], 'int32') }, this.#recorded.release);
  }

  addAdapter(dir: string): number {
    const tuning = readAdapterTuning(dir);
    if (tuning.type !== 'lora' || !methodOf(tuning).adapter!.isPerRow(tuning, this.config)) {
      const number = this.#nextAdapter++;
      this.#own.add(number, dir);
      return number;
    }
    const layers = loraLayers(this.config, tuning);
    const trainable = new Map([...loraFormat.trainedShapes(this.config, tuning)].map(([tensor, shape]) => [tensor, { shape }]));
    const number = this.#nextAdapter++;
    let bytes = 0;
    loadAdapter(
      {
        trainable,
        assign: (values) => {
          for (const [index, module] of [...linearLayers(this.config).keys()].entries()) {
            const [A, B] = (['A', 'B'] as const).map((matrix) => {
              const held = peftName(module, matrix);
              return trainable.has(held) ? tf.tensor2d(values.get(held)!, trainable.get(held)!.shape as [number, number]) : null;
            });
            if (!A || !B) continue;
            bytes += (A.size + B.size) * F32_BYTES;
            const names = { [FEEDS.adapter]: tf.scalar(number, 'int32'), [FEEDS.module]: tf.scalar(index, 'int32') };
            this.#run(
              { ...names, [FEEDS.A]: A, [FEEDS.B]: B, [FEEDS.scaling]: tf.scalar(layers.get(module)!.scaling) },
              this.#recorded.assignAdapter,
            );
          }
        },
      },
      dir,
    );
    this.#adapters.set(number, bytes);
    return number;
  }

  virtualTokens(adapter: number): number {
    return this.#own.virtualTokens(adapter);
  }

  removeAdapter(adapter: number): void {
    if (this.#own.has(adapter)) {
      this.#own.remove(adapter);
      return;
    }
    this.#adapters.delete(adapter);
    this.#run({ [FEEDS.adapter]: tf.scalar(adapter, 'int32') }, this.#recorded.removeAdapter);
  }

  memoryBytes(): number {
    const pageBytes = keptPerToken(this.config) * PAGE_TOKENS * F32_BYTES;
    const pages = [...this.#pages.values()].reduce((sum, count) => sum + count, 0);
    const stateBytes = F32_BYTES * stateSize(this.config);
    const held = this.#weightBytes + pages * pageBytes + this.#pages.size * stateBytes + this.#own.memoryBytes();
    return [...this.#adapters.values()].reduce((sum, bytes) => sum + bytes, held);
  }

  dispose(): void {
    this.#own.dispose();
    this.#session.dispose();
  }

  /** Each row is one token of a text, at a position. */
  #logits(rows: readonly { text: NewTokens; position: number }[], fetched: RecordedGeneration['read']): Float32Array[] {
    const ints = (of: (row: (typeof rows)[number]) => number, shape = [rows.length]): Tensor => tf.tensor(Int32Array.from(rows, of), shape, 'int32');
    for (const { text, position } of rows) this.#pages.set(text.slot, Math.ceil((position + 1) / PAGE_TOKENS));
    const frequencies = rotariesOf(this.config).map((rotary, index) => {
      if (!dependsOnLength(rotary)) return [FEEDS.frequencies(index), tf.tensor1d(rotaryFrequencies(rotary))];
      const ofRows = rows.flatMap(({ text }) => [...rotaryFrequencies(rotary, text.tokens.length)]);
      return [FEEDS.frequencies(index), tf.tensor2d(ofRows, [rows.length, rotary.dimensions / 2])];
    });
    const feeds = {
      [FEEDS.tokens]: tf.scalar(rows.length, 'int32'),
      [FEEDS.inputIds]: ints(({ text, position }) => text.tokens[position]!),
      [FEEDS.positions]: ints(({ position }) => position, [rows.length, 1]),
      [FEEDS.slots]: ints(({ text }) => text.slot),
      [FEEDS.adapters]: ints(({ text }) => text.adapter ?? NO_ADAPTER),
      [FEEDS.last]: tf.tensor1d([rows.length - 1], 'int32'),
      ...Object.fromEntries(frequencies),
    };
    const logits = this.#run(feeds, fetched) as Float32Array;
    const { vocabSize } = this.config;
    return Array.from({ length: logits.length / vocabSize }, (_, row) => logits.subarray(row * vocabSize, (row + 1) * vocabSize));
  }

  /** @param feeds which this disposes of */
  #run(feeds: Record<string, Tensor>, fetched: RecordedGeneration['read']): Float32Array | Int32Array {
    const [result] = this.#session.run(feeds, [fetched]);
    const values = result!.dataSync<'float32' | 'int32'>();
    tf.dispose([result!, ...Object.values(feeds)]);
    return values;
  }

  #load(weights: StoredWeights): void {
    const layers = weights.config.inputFirst ? [...linearLayers(this.config)] : [];
    const transposedLayers = new Map(layers.map(([module, sizes]) => [`${module}.weight`, sizes]));
    // One slab at a time, so that only one is in memory twice on a GPU.
    for (const { slab, variable } of this.#recorded.frozen) {
      const Held = heldClass(variable);
      const transposed = filledFrom((name) => {
        const { out, in: input } = transposedLayers.get(name)!;
        const [stored, held] = [new Held(out * input), new Held(out * input)];
        weights.readInto(name, stored);
        for (let index = 0; index < held.length; index++) held[(index % out) * input + Math.floor(index / out)] = stored[index]!;
        return held;
      });
      const fill: Fill = (name, piece) => (transposedLayers.has(name) ? transposed(name, piece) : weights.readInto(name, piece.held, piece.first));
      assignSlabs(this.#session, [{ slab, variable, fill }]);
      this.#weightBytes += Held.BYTES_PER_ELEMENT * slab.shape[0] * slab.shape[1];
    }
  }
}
