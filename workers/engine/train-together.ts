/** Several runs on one base: one copy of its weights, and passes that hold examples of all. */
import { Gathering, type GatheringOptions } from './compiled/together/gathering.ts';
import type { TrainOptions, TrainResult } from './contract.ts';
import { prepare, type Run } from './prepare.ts';
import { trainPrepared } from './train.ts';

/**
 * Trains runs beside each other. Those with the same base, precision and objective whose adapters fit together share it; every run has its data, optimizer,
 * schedule and end to itself, and its numbers are those that it would have alone, but for rounding.
 * @returns how each run ended, in order
 */
export function trainTogether(runs: readonly TrainOptions[], options: GatheringOptions = {}): Promise<PromiseSettledResult<TrainResult>[]> {
  const gathering = new Gathering(runs.length, options);
  return Promise.allSettled(runs.map((run, number) => trainBeside(run, { gathering, number })));
}

async function trainBeside(options: TrainOptions, place: BesidePlace): Promise<TrainResult> {
  const run = await prepareBeside(options, place);
  try {
    return await trainPrepared(run, options);
  } finally {
    run.dispose();
  }
}

export interface BesidePlace {
  gathering: Gathering;
  /** The run's number among those that gather, from 0. */
  number: number;
}

/**
 * Prepares a run that may share its base with those that are prepared beside it: it waits for them.
 * @throws as `prepare`, and CameLate
 */
export async function prepareBeside(options: TrainOptions, { gathering, number }: BesidePlace): Promise<Run> {
  let hasCome = false;
  try {
    options.signal?.throwIfAborted();
    return await prepare(options, (choices) => {
      hasCome = true;
      return gathering.open(number, choices, options.signal);
    });
  } finally {
    if (!hasCome) gathering.leave();
  }
}
