/** Sums seconds by part: the time between two laps belongs to the part that the later lap names. */
export class Stopwatch<Part extends string> {
  readonly seconds: Record<Part, number>;
  readonly #nowMs: () => number;
  #lapMs: number;

  constructor(parts: readonly Part[], nowMs = () => performance.now()) {
    this.seconds = Object.fromEntries(parts.map((part) => [part, 0])) as Record<Part, number>;
    this.#nowMs = nowMs;
    this.#lapMs = nowMs();
  }

  lap(part: Part): void {
    const nowMs = this.#nowMs();
    this.seconds[part] += (nowMs - this.#lapMs) / 1000;
    this.#lapMs = nowMs;
  }
}
