/** Ends a text before the first of several stop texts, as the text arrives piece by piece. */

export class StopTexts {
  readonly #stops: readonly string[];
  /** Text that may be the beginning of a stop text. */
  #held = '';

  /** @param stops empty ones never match */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  /**
   * @returns the text that no stop text can take back any more, and whether one was met: nothing may be pushed after it
   */
  push(text: string): { text: string; stopped: boolean } {
    const all = this.#held + text;
    const starts = this.#stops.map((stop) => all.indexOf(stop)).filter((start) => start >= 0);
    if (starts.length > 0) {
      this.#held = '';
      return { text: all.slice(0, Math.min(...starts)), stopped: true };
    }
    const heldLength = Math.max(0, ...this.#stops.map((stop) => beginningAtEnd(all, stop)));
    this.#held = all.slice(all.length - heldLength);
    return { text: all.slice(0, all.length - heldLength), stopped: false };
  }

  /** @returns the text that was held back, once no more comes */
  end(): string {
    const held = this.#held;
    this.#held = '';
    return held;
  }
}

/** @returns the length of the longest beginning of `stop` with which the text ends */
function beginningAtEnd(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) if (text.endsWith(stop.slice(0, length))) return length;
  return 0;
}
