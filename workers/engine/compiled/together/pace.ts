/** Whether runs on one base train faster in passes that they share than in passes of their own, measured with their own passes. */

export interface Pace {
  /** How many runs take steps. */
  runs: number;
  /** Tokens a second in passes that they share, divided by that in passes of their own. */
  speed: number;
  isShared: boolean;
}

/** How passes are computed: `shared`, or a run's `own` one after the other's. */
export type Way = 'shared' | 'own';

/** Of each way. The rounds before them, one of each, warm up. */
const MEASURED_ROUNDS = 3;

/** Sharing that is less worth than this is within the noise, and every run would wait for all. */
const LEAST_GAIN = 1.05;

export class PaceFinder {
  readonly #found: (pace: Pace) => void;
  /** By the number of runs. */
  readonly #paces = new Map<number, Pace>();
  #runs = 0;
  #secondsPerToken: Record<Way, number[]> = { shared: [], own: [] };

  /** @param found called once for each number of runs, when it is known which way is the faster one */
  constructor(found: (pace: Pace) => void) {
    this.#found = found;
  }

  /** @returns how to compute the next round of all runs, which then is `took` */
  next(runs: number): Way {
    const pace = this.#paces.get(runs);
    if (pace !== undefined) return pace.isShared ? 'shared' : 'own';
    if (runs !== this.#runs) {
      this.#runs = runs;
      this.#secondsPerToken = { shared: [], own: [] };
    }
    const { shared, own } = this.#secondsPerToken;
    return shared.length <= own.length ? 'shared' : 'own';
  }

  /** Says how long a round took that was computed as `next` had it. */
  took(way: Way, { seconds, tokens }: { seconds: number; tokens: number }): void {
    if (this.#paces.has(this.#runs)) return;
    this.#secondsPerToken[way].push(seconds / tokens);
    const { shared, own } = this.#secondsPerToken;
    if (own.length <= MEASURED_ROUNDS || shared.length <= MEASURED_ROUNDS) return;
    const speed = median(own.slice(1)) / median(shared.slice(1));
    const pace = { runs: this.#runs, speed, isShared: speed >= LEAST_GAIN };
    this.#paces.set(this.#runs, pace);
    this.#found(pace);
  }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
