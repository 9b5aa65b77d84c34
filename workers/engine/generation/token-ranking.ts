/** Tokens from the most probable one down, sorted only where a filter ends: every filter keeps a beginning of that order. */

/** Tokens fall into bins by how far their logits are below the largest, so that only the bin at the end of what is kept is sorted. */
const BIN_NATS = 1 / 32;
/** 128 nats, which few models' logits span. The last bin also holds all that is below. */
const BINS = 4096;

export interface KeptTokens {
  ids: Int32Array;
  /** In proportion to their probabilities. */
  weights: Float64Array;
  total: number;
}

export class TokenRanking {
  readonly #logits: Float32Array;
  readonly #temperature: number;
  readonly #top: number;
  /** By token. */
  readonly #bins: Uint16Array;
  /** Kept are all bins before this one, and of this one `#edge`; null keeps it whole. */
  #lastBin = BINS - 1;
  #edge: number[] | null = null;

  /**
   * @param logits [vocab]
   * @param top the largest of them
   */
  constructor(logits: Float32Array, { top, temperature }: { top: number; temperature: number }) {
    this.#logits = logits;
    this.#temperature = temperature;
    this.#top = top;
    this.#bins = new Uint16Array(logits.length);
    for (let id = 0; id < logits.length; id++) this.#bins[id] = binOf(top - logits[id]!);
  }

  /** Keeps the first `count`, and those as probable as the last of them. To be called before the others. */
  keepCount(count: number): void {
    const counts = new Uint32Array(BINS);
    for (let id = 0; id < this.#bins.length; id++) counts[this.#bins[id]!]! += 1;
    let before = 0;
    let bin = 0;
    while (before + counts[bin]! < count) before += counts[bin++]!;
    const sorted = this.#sorted(bin);
    const least = this.#logits[sorted[count - before - 1]!]!;
    this.#end(
      bin,
      sorted.filter((id) => this.#logits[id]! >= least),
    );
  }

  /** Keeps the first ones whose probabilities reach a fraction of those of all that is kept so far; at least one. */
  keepMass(fraction: number): void {
    const masses = this.#masses();
    const wanted = fraction * masses.reduce((sum, mass) => sum + mass, 0);
    let mass = 0;
    let bin = 0;
    while (bin < this.#lastBin && mass + masses[bin]! < wanted) mass += masses[bin++]!;
    const sorted = this.#sorted(bin);
    let taken = 0;
    for (; taken < sorted.length && (mass < wanted || mass === 0); taken++) mass += this.#weight(sorted[taken]!);
    this.#end(bin, sorted.slice(0, taken));
  }

  /** Keeps those at least this fraction as probable as the first one. */
  keepRatio(fraction: number): void {
    const bin = binOf(-Math.log(fraction) * this.#temperature);
    if (bin > this.#lastBin) return;
    this.#end(
      bin,
      this.#sorted(bin).filter((id) => this.#weight(id) >= fraction),
    );
  }

  kept(): KeptTokens {
    const ids: number[] = [];
    for (let id = 0; id < this.#bins.length; id++) if (this.#isBeforeEdge(this.#bins[id]!)) ids.push(id);
    for (const id of this.#edge ?? []) ids.push(id);
    const weights = Float64Array.from(ids, (id) => this.#weight(id));
    return { ids: Int32Array.from(ids), weights, total: weights.reduce((sum, weight) => sum + weight, 0) };
  }

  #isBeforeEdge(bin: number): boolean {
    return bin < this.#lastBin || (bin === this.#lastBin && this.#edge === null);
  }

  #weight(id: number): number {
    return Math.exp((this.#logits[id]! - this.#top) / this.#temperature);
  }

  /** Summed weights of what is kept of each bin. */
  #masses(): Float64Array {
    const masses = new Float64Array(BINS);
    for (let id = 0; id < this.#bins.length; id++) if (this.#isBeforeEdge(this.#bins[id]!)) masses[this.#bins[id]!]! += this.#weight(id);
    for (const id of this.#edge ?? []) masses[this.#lastBin]! += this.#weight(id);
    return masses;
  }

  /** What is kept of a bin, most probable first; of equal ones, the lower id first. */
  #sorted(bin: number): number[] {
    if (bin === this.#lastBin && this.#edge !== null) return this.#edge;
    const ids: number[] = [];
    for (let id = 0; id < this.#bins.length; id++) if (this.#bins[id] === bin) ids.push(id);
    return ids.sort((a, b) => this.#logits[b]! - this.#logits[a]! || a - b);
  }

  #end(bin: number, edge: number[]): void {
    this.#lastBin = bin;
    this.#edge = edge;
  }
}

const binOf = (below: number): number => (below < BINS * BIN_NATS ? Math.floor(below / BIN_NATS) : BINS - 1);
