/**
 * Brings the passes of several runs together: each run waits with its next one until all runs that are taking steps have theirs, and then they are computed as
 * one. A run that does something else meanwhile, as an evaluation, keeps nobody waiting.
 */

/** Longest wait for a sign of a run that takes steps: one whose report is held up holds up itself alone. */
const LONGEST_WAIT_MS = 100;

export interface Waiting<Work, Result> {
  member: number;
  work: Work;
  settle: { resolve(result: Result): void; reject(error: unknown): void };
}

export class Rounds<Work, Result> {
  readonly #compute: (waiting: readonly Waiting<Work, Result>[]) => void;
  readonly #stepping = new Set<number>();
  #waiting: Waiting<Work, Result>[] = [];
  #soon: NodeJS.Immediate | null = null;
  #late: NodeJS.Timeout | null = null;

  /** @param compute settles all that wait */
  constructor(compute: (waiting: readonly Waiting<Work, Result>[]) => void) {
    this.#compute = compute;
  }

  /** @returns what the next round computes for a member, which has no other work waiting */
  next(member: number, work: Work): Promise<Result> {
    this.#stepping.add(member);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ member, work, settle: { resolve, reject } });
      this.#late ??= setTimeout(() => this.#beginLate(), LONGEST_WAIT_MS);
      this.active();
      this.#beginIfComplete();
    });
  }

  /** Says that a member is on its way to its next work. */
  active(): void {
    this.#late?.refresh();
  }

  /** Says that a member's next work may be a while away. */
  away(member: number): void {
    if (this.#stepping.delete(member)) this.#beginIfComplete();
  }

  #beginIfComplete(): void {
    if (this.#waiting.length > 0 && this.#waiting.length >= this.#stepping.size) this.#soon ??= setImmediate(() => this.#begin());
  }

  /** Whoever is missing is not waited for again until it comes by itself. */
  #beginLate(): void {
    this.#stepping.clear();
    for (const { member } of this.#waiting) this.#stepping.add(member);
    this.#begin();
  }

  #begin(): void {
    if (this.#soon !== null) clearImmediate(this.#soon);
    if (this.#late !== null) clearTimeout(this.#late);
    this.#soon = null;
    this.#late = null;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (waiting.length > 0) this.#compute(waiting);
  }
}
