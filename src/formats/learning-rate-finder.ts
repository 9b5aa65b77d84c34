/** A search for a learning rate as fastai's `lr_find` does it: the rate grows with each step, and is taken from where the loss falls longest. */
import { type Static, Type } from 'typebox';
import { nullable } from './nullable.ts';

/** fastai's `num_it`. */
export const FINDER_STEPS = 100;
/** fastai's `start_lr`; its `end_lr` is 10, but a job's learning rate is at most 1. */
const FIRST_RATE = 1e-7;
const LAST_RATE = 1;
/** fastai's factor: a smoothed loss that is as many times the lowest one has diverged. */
const DIVERGED = 4;
/** fastai's weight of what came before in the smoothed loss. */
const SMOOTHING = 0.98;
/** fastai leaves out as many of the last steps, in which the loss has begun to diverge. */
const LAST_LEFT_OUT = 5;

const FoundRate = Type.Object(
  {
    learning_rate: Type.Number(),
    loss: Type.Number(),
    smoothed_loss: Type.Number({ description: 'The mean of the losses so far, of which later ones count more.' }),
  },
  { title: 'FoundRate' },
);

export const LearningRates = Type.Object(
  {
    suggested: nullable(
      Type.Number({ description: "By fastai's rule valley: at half of where the loss falls longest. null: there are too few steps for it." }),
    ),
    steps: Type.Array(FoundRate, { description: `At most ${FINDER_STEPS}, each at a higher rate.` }),
    ended_because: Type.Union([Type.Literal('all_steps'), Type.Literal('diverged')], {
      description: `diverged: the smoothed loss was more than ${DIVERGED} times the lowest one, or not finite.`,
    }),
  },
  { title: 'LearningRates' },
);
export type LearningRates = Static<typeof LearningRates>;

/** @param step from 0 */
export const finderRate = (step: number): number => FIRST_RATE * (LAST_RATE / FIRST_RATE) ** (step / FINDER_STEPS);

/** Gathers the losses of the steps. */
export class RateSearch {
  readonly #steps: LearningRates['steps'] = [];
  #mean = 0;
  #lowest = Number.POSITIVE_INFINITY;

  /** @returns whether the loss has diverged */
  add(loss: number): boolean {
    if (!Number.isFinite(loss)) return true;
    const step = this.#steps.length;
    this.#mean = SMOOTHING * this.#mean + (1 - SMOOTHING) * loss;
    const smoothed = this.#mean / (1 - SMOOTHING ** (step + 1));
    this.#steps.push({ learning_rate: finderRate(step), loss, smoothed_loss: smoothed });
    this.#lowest = Math.min(this.#lowest, smoothed);
    return smoothed > DIVERGED * this.#lowest;
  }

  result(endedBecause: LearningRates['ended_because']): LearningRates {
    const considered = this.#steps.slice(FINDER_STEPS / 10, -LAST_LEFT_OUT);
    const place = valley(considered.map(({ smoothed_loss: loss }) => loss));
    return { suggested: place === null ? null : considered[place]!.learning_rate, steps: this.#steps, ended_because: endedBecause };
  }
}

/**
 * The valley is the longest series of falling losses, not all of which follow each other. It is taken to end with its last one and to begin as many places
 * before as it has losses.
 * @returns the place in its middle, as fastai rounds it; null if there are no losses
 */
export function valley(losses: readonly number[]): number | null {
  if (losses.length === 0) return null;
  const series: number[] = []; // the longest that ends at each place
  let end = 0;
  for (const [place, loss] of losses.entries()) {
    series.push(1 + losses.slice(0, place).reduce((longest, before, index) => (loss < before ? Math.max(longest, series[index]!) : longest), 0));
    if (series[place]! > series[end]!) end = place;
  }
  const length = series[end]! > 1 ? series[end]! : 0;
  return end - length + Math.floor(length / 3) + Math.floor(length / 6);
}
