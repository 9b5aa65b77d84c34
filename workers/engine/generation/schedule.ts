/** Which sequences are computed when. Those in progress are continued together; prompts of new ones are read in pieces between their steps. */
import { yieldToEventLoop } from '../evaluate.ts';
import type { GeneratedText } from './contract.ts';
import type { Sequence } from './sequence.ts';
import type { NewTokens, TokenPasses } from './token-passes.ts';

/** An adapter, which is freed when nothing uses it. */
export interface HeldAdapter {
  /** What the passes call it. */
  number: number;
  /** By its name, and by sequences. */
  uses: number;
}

interface Waiting {
  sequence: Sequence;
  adapter: HeldAdapter | null;
  signal: AbortSignal | undefined;
  resolve(text: GeneratedText): void;
  reject(reason: unknown): void;
}

/** A sequence that has a place in the cache. */
interface Active extends Waiting {
  slot: number;
  /** Number of its tokens that are in the cache. */
  seen: number;
}

/** Prompts' tokens that are read between two steps of the sequences in progress, at most, unless one piece has more: those wait meanwhile. */
const READ_BETWEEN_STEPS = 512;

export class Schedule {
  readonly #passes: TokenPasses;
  readonly #freeSlots: number[];
  readonly #active: Active[] = [];
  readonly #waiting: Waiting[] = [];
  #isRunning = false;
  #hasEnded = false;

  constructor(passes: TokenPasses, slots: number) {
    this.#passes = passes;
    this.#freeSlots = Array.from({ length: slots }, (_, slot) => slot);
  }

  add(sequence: Sequence, { adapter, signal }: Pick<Waiting, 'adapter' | 'signal'>): Promise<GeneratedText> {
    return new Promise((resolve, reject) => {
      if (adapter !== null) adapter.uses += 1;
      this.#waiting.push({ sequence, adapter, signal, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  /** Frees an adapter if this was its last use. */
  stopUsing(adapter: HeldAdapter | null): void {
    if (adapter === null || this.#hasEnded) return;
    adapter.uses -= 1;
    if (adapter.uses === 0) this.#passes.removeAdapter(adapter.number);
  }

  /** Nothing is computed afterwards. */
  end(reason: Error): void {
    this.#hasEnded = true;
    for (const { reject } of [...this.#active.splice(0), ...this.#waiting.splice(0)]) reject(reason);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#active.length + this.#waiting.length > 0) {
      await yieldToEventLoop();
      this.#dropAborted();
      while (this.#waiting.length > 0 && this.#freeSlots.length > 0)
        this.#active.push({ ...this.#waiting.shift()!, slot: this.#freeSlots.pop()!, seen: 0 });
      for (const one of this.#active.filter(({ sequence }) => sequence.result !== null)) this.#leave(one);
      for (const one of this.#active) if (this.#passes.isOutdated(one.seen, one.sequence.tokens.length)) one.seen = 0;
      await this.#readPrompts();
      const ready = this.#active.filter(isReady);
      if (ready.length > 0) await this.#attempt(ready, () => this.#next(ready));
    }
    this.#isRunning = false;
  }

  /** A step takes hardly longer for several sequences than for one, so new ones join as soon as may be. */
  async #readPrompts(): Promise<void> {
    let left = READ_BETWEEN_STEPS;
    for (const one of this.#active.filter((candidate) => !isReady(candidate))) {
      while (left > 0 && this.#active.includes(one) && !isReady(one)) {
        const before = one.seen;
        await this.#attempt([one], () => this.#read(one));
        left -= one.seen - before;
        await yieldToEventLoop();
        this.#dropAborted();
      }
    }
  }

  /** Ends sequences whose computation throws. */
  async #attempt(affected: readonly Active[], compute: () => Promise<void>): Promise<void> {
    try {
      await compute();
    } catch (error) {
      for (const one of affected) this.#leave(one, error);
    }
  }

  async #read(one: Active): Promise<void> {
    const { tokens } = one.sequence;
    const end = Math.min(one.seen + this.#passes.readTokens, tokens.length);
    const logits = this.#passes.read(textOf(one), end);
    one.seen = end;
    if (end === tokens.length) await this.#take(one, logits);
  }

  async #next(ready: readonly Active[]): Promise<void> {
    const logits = this.#passes.next(ready.map(textOf));
    for (const [index, one] of ready.entries()) {
      one.seen += 1;
      await this.#take(one, logits[index]!);
    }
  }

  async #take(one: Active, logits: Float32Array): Promise<void> {
    if (this.#hasEnded) return; // while another sequence took its token
    try {
      await one.sequence.take(logits);
      if (one.sequence.result !== null) this.#leave(one);
    } catch (error) {
      this.#leave(one, error);
    }
  }

  #dropAborted(): void {
    for (const one of this.#active.filter(({ signal }) => signal?.aborted)) this.#leave(one, one.signal!.reason);
    for (const one of this.#waiting.filter(({ signal }) => signal?.aborted)) {
      this.#waiting.splice(this.#waiting.indexOf(one), 1);
      this.stopUsing(one.adapter);
      one.reject(one.signal!.reason);
    }
  }

  /** Does nothing for a sequence that has left. */
  #leave(one: Active, ...errors: unknown[]): void {
    const place = this.#active.indexOf(one);
    if (place === -1) return;
    this.#active.splice(place, 1);
    this.#freeSlots.push(one.slot);
    this.#passes.release(one.slot);
    this.stopUsing(one.adapter);
    if (errors.length > 0) one.reject(errors[0]);
    else one.resolve(one.sequence.result!);
  }
}

/** Whether its prompt and all later tokens except the last are in the cache. */
const isReady = ({ sequence, seen }: Active): boolean => seen >= sequence.request.prompt.length && seen === sequence.tokens.length - 1;

const textOf = ({ sequence, slot, seen, adapter }: Active): NewTokens => ({
  slot,
  tokens: sequence.tokens,
  seen,
  adapter: adapter?.number ?? null,
});
