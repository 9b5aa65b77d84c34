/** Several runs on one base: one copy of its weights, and passes that hold examples of all. */
import { Gathering } from './compiled/together/gathering.ts';
import type { TrainOptions, TrainResult } from './contract.ts';
import { prepare } from './prepare.ts';
import { trainPrepared } from './train.ts';

/**
 * Trains runs beside each other. Those with the same base, precision and objective whose adapters fit together share it; every run has its data, optimizer,
 * schedule and end to itself, and its numbers are those that it would have alone, but for rounding.
 * @returns how each run ended, in order
 */
export function trainTogether(runs: readonly TrainOptions[]): Promise<PromiseSettledResult<TrainResult>[]> {
  const gathering = new Gathering(runs.length);
  return Promise.allSettled(runs.map((options, number) => trainBeside(options, { gathering, number })));
}

async function trainBeside(options: TrainOptions, { gathering, number }: { gathering: Gathering; number: number }): Promise<TrainResult> {
  let hasCome = false;
  try {
    options.signal?.throwIfAborted();
    const run = await prepare(options, (choices) => {
      hasCome = true;
      return gathering.open(number, choices, options.signal);
    });
    try {
      return await trainPrepared(run, options);
    } finally {
      run.dispose();
    }
  } finally {
    if (!hasCome) gathering.leave();
  }
}
