/** Seconds spent by part: `lap` adds the time since the previous lap to its part. */
export class Stopwatch<Part extends string> {
  readonly seconds: Record<Part, number>;
  #lapMs = performance.now();

  constructor(parts: readonly Part[]) {
    this.seconds = Object.fromEntries(parts.map((part) => [part, 0])) as Record<Part, number>;
  }

  lap(part: Part): void {
    const nowMs = performance.now();
    this.seconds[part] += (nowMs - this.#lapMs) / 1000;
    this.#lapMs = nowMs;
  }
}
