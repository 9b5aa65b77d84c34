/** Optimizer steps that are left out because they would harm the model: their loss or gradient is not finite, or, where asked for, the loss is a spike. */
import { type BadStepFields, DEFAULT_MAX_SKIPPED_STEPS } from '../../src/formats/bad-steps.ts';
import { quantity } from '../../src/formats/quantity.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { RunNotice } from './contract.ts';

/** How many losses give the median with which a spike is compared. */
const WINDOW_STEPS = 50;
/** With fewer steps, the median says little: losses fall fast in the beginning. */
const LEAST_STEPS = 10;
/** How many lines a message names; the event's data has all. */
const LINES_NAMED = 32;

/** What a checkpoint has of it. */
export interface BadStepState {
  /** The steps that were left out. */
  skipped: number[];
  /** Losses of the last steps that were taken, oldest first; only where spikes are looked for. */
  losses: number[];
}

/** A step that was not taken. */
interface BadStep {
  step: number;
  /** `its loss is NaN` */
  problem: string;
  /** Lines of the training file with its examples. */
  lines: readonly number[];
}

export class BadSteps {
  readonly #most: number;
  readonly #spikeFactor: number | null;
  readonly #state: BadStepState;

  constructor({ max_skipped_steps: most, loss_spike_factor: factor }: BadStepFields, resumed: BadStepState | null) {
    this.#most = most ?? DEFAULT_MAX_SKIPPED_STEPS;
    this.#spikeFactor = factor ?? null;
    this.#state = resumed ?? { skipped: [], losses: [] };
  }

  /** null while there is nothing to remember. */
  get state(): BadStepState | null {
    const { skipped, losses } = this.#state;
    return skipped.length + losses.length === 0 ? null : { skipped: [...skipped], losses: [...losses] };
  }

  /** How many steps were left out. */
  get count(): number {
    return this.#state.skipped.length;
  }

  /** @returns what is wrong with the loss of a step, before it is taken; null if nothing is */
  problemOf(loss: number): string | null {
    if (!Number.isFinite(loss)) return `its loss is ${loss}`;
    const { losses } = this.#state;
    if (this.#spikeFactor === null || losses.length < LEAST_STEPS) return null;
    const median = losses.toSorted((a, b) => a - b)[Math.floor(losses.length / 2)]!;
    return loss > this.#spikeFactor * median
      ? `its loss is ${loss}, more than ${this.#spikeFactor} times ${median}, the median of the last ${quantity(losses.length, 'step')}`
      : null;
  }

  /** Remembers the loss of a step that was taken. */
  taken(loss: number): void {
    if (this.#spikeFactor === null) return;
    this.#state.losses.push(loss);
    if (this.#state.losses.length > WINDOW_STEPS) this.#state.losses.shift();
  }

  /** Whether one more step may be left out. */
  get maySkip(): boolean {
    return this.count < this.#most;
  }

  /** Leaves a step out. @returns what the user should know */
  skip({ step, problem, lines }: BadStep): RunNotice {
    this.#state.skipped.push(step);
    const message = `Step ${step} was left out: ${problem}. Its examples are on ${named(lines)}. ${this.count} of at most ${quantity(this.#most, 'step')} left out`;
    return { level: 'warn', message, data: { step, problem, lines: [...lines] } };
  }

  /** Why the run ends. @param checkpoint the step after which the state was kept; null if it was not */
  refusal({ step, problem, lines }: BadStep, checkpoint: number | null): Refusal {
    const before = this.count === 0 ? '' : `, after ${quantity(this.count, 'step')} had been left out (${this.#state.skipped.join(', ')})`;
    const kept = checkpoint === null ? '' : `. The state before it is the checkpoint at step ${checkpoint}`;
    return new Refusal('training_diverged', `step ${step} could not be taken: ${problem}${before}; its examples are on ${named(lines)}${kept}`, {
      param: 'hyperparameters.learning_rate',
      hint: 'Lower the learning rate, or warm up longer, or look at these examples.',
    });
  }
}

function named(lines: readonly number[]): string {
  const sorted = [...new Set(lines)].sort((a, b) => a - b);
  const more = sorted.length > LINES_NAMED ? ` and ${sorted.length - LINES_NAMED} more` : '';
  return `${sorted.length === 1 ? 'line' : 'lines'} ${sorted.slice(0, LINES_NAMED).join(', ')}${more} of the training file`;
}
