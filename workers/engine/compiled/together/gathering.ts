/** Where runs that may share a base wait for each other, because the base is opened once for all of them. */

import { readModelConfig } from '../../model/weights.ts';
import { methodOf } from '../../tuning/methods.ts';
import type { LearningModel } from '../../tuning/tuned-model.ts';
import { openForTraining, openTogether, type TrainingChoices } from '../open-model.ts';
import type { MemberChoices } from './recorded-members.ts';

interface Seat {
  choices: TrainingChoices;
  settle: { resolve(model: LearningModel): void; reject(error: unknown): void };
}

/** The others have begun without this run, which took longer to prepare. */
export class CameLate extends Error {
  override readonly name = 'CameLate';
  constructor() {
    super('the other runs have begun without this one');
  }
}

export interface GatheringOptions {
  /** How long the first run that is prepared waits for others; default: until all have come or left. */
  longestWaitMs?: number;
  /** Whether runs share passes only while measuring says that it pays; default: always. */
  measures?: boolean;
}

export class Gathering {
  /** The runs that are still to come. */
  #expected: number;
  readonly #options: GatheringOptions;
  readonly #seats = new Map<number, Seat>();
  #timer: NodeJS.Timeout | undefined;
  #hasOpened = false;

  /** @param runs how many */
  constructor(runs: number, options: GatheringOptions = {}) {
    this.#expected = runs;
    this.#options = options;
  }

  /**
   * Waits until all runs have come or have left, then opens what they asked for: those that fit together are members of one base.
   * @param run its number, from 0; the order of numbers is that of the members
   * @throws the signal's reason when it is aborted, CameLate, and what `openForTraining` throws
   */
  async open(run: number, choices: TrainingChoices, signal?: AbortSignal): Promise<LearningModel> {
    if (this.#hasOpened) throw new CameLate();
    const { longestWaitMs } = this.#options;
    if (longestWaitMs !== undefined) this.#timer ??= setTimeout(() => this.#open(), longestWaitMs);
    const opened = new Promise<LearningModel>((resolve, reject) => {
      this.#seats.set(run, { choices, settle: { resolve, reject } });
    });
    const onAbort = () => {
      this.#seats.get(run)?.settle.reject(signal!.reason);
      this.#seats.delete(run);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.leave();
    return opened.finally(() => signal?.removeEventListener('abort', onAbort));
  }

  /** Says that one of the runs will not come, or has come. */
  leave(): void {
    this.#expected -= 1;
    if (this.#expected === 0 && !this.#hasOpened) this.#open();
  }

  #open(): void {
    clearTimeout(this.#timer);
    this.#hasOpened = true;
    const seats = [...this.#seats].sort(([one], [other]) => one - other).map(([, seat]) => seat);
    this.#seats.clear();
    for (const together of alike(seats)) {
      try {
        const models = opened(
          together.map(({ choices }) => choices),
          this.#options.measures ?? false,
        );
        for (const [index, { settle }] of together.entries()) settle.resolve(models[index]!);
      } catch (error) {
        for (const { settle } of together) settle.reject(error);
      }
    }
  }
}

/** @returns the seats of each base */
function alike(seats: readonly Seat[]): Seat[][] {
  const groups = new Map<string, Seat[]>();
  for (const [index, seat] of seats.entries()) {
    const key = sharedBy(seat.choices) ?? `alone ${index}`;
    groups.set(key, [...(groups.get(key) ?? []), seat]);
  }
  return [...groups.values()];
}

function opened(choices: readonly TrainingChoices[], measures: boolean): LearningModel[] {
  const members = choices.map(memberOf).filter((member) => member !== null);
  return choices.length === 1 ? choices.map(openForTraining) : openTogether(choices as [TrainingChoices], { members, measures });
}

/**
 * @returns what runs that share a base have in common; null for one that shares none: it trains other than A and B beside layers, has dropout or noise, takes its
 *   steps within its passes, or has a loss whose sums cannot be told apart, as that of an objective without `sumsOf` or the one that balances experts
 */
function sharedBy(choices: TrainingChoices): string | null {
  const {
    modelDir,
    tuning,
    objective,
    precision = 'f32',
    quantization = null,
    gradientCheckpointing = false,
    noiseAlpha,
    optimizerInBackward = false,
  } = choices;
  if (noiseAlpha !== undefined || optimizerInBackward || memberOf(choices) === null || (objective !== undefined && objective.sumsOf === undefined))
    return null;
  const config = readModelConfig(modelDir);
  const isAlike = methodOf(tuning).adapter!.isPerRow(tuning, config) && config.experts?.balance === undefined;
  return isAlike ? JSON.stringify([modelDir, precision, quantization, gradientCheckpointing, objective?.name ?? 'supervised']) : null;
}

const memberOf = ({ tuning, seed, weightDecay, optim }: TrainingChoices): MemberChoices | null =>
  tuning.type === 'lora' && tuning.lora_dropout === 0 ? { tuning, seed, weightDecay, ...(optim !== undefined && { optim }) } : null;
