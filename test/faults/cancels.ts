/** Cancels jobs, and checks that nothing was written after the answer. */
import { setTimeout as delay } from 'node:timers/promises';
import { ask } from './ask.ts';
import type { Try } from './fault.ts';
import type { Findings } from './invariants.ts';

/** Steps that are recorded this long after a cancel was answered were written after it. */
const AFTERWARDS_MS = 3_000;
/** Whoever waits for the training to stop would take longer; a loaded machine takes seconds as well. */
const ANSWER_LIMIT_MS = 5_000;

interface Recorded {
  steps: number;
  checkpoints: number;
  events: number;
}

async function recorded(id: string, { truth }: Try): Promise<Recorded> {
  const { recordedSteps, checkpoints, events } = await truth.job(id);
  return { steps: recordedSteps, checkpoints, events };
}

export function watchCancels() {
  const answered = new Map<string, { recorded: Recorded; afterMs: number }>();
  return {
    async cancel(id: string, one: Try): Promise<void> {
      const startedMs = performance.now();
      if (!(await ask(one.api, id, 'cancel'))) return;
      answered.set(id, { afterMs: performance.now() - startedMs, recorded: await recorded(id, one) });
    },

    /** @returns null of a job that was not cancelled, because it had ended */
    async check(id: string, one: Try): Promise<Findings | null> {
      const answer = answered.get(id);
      if (answer === undefined) return null;
      await delay(AFTERWARDS_MS);
      const later = await recorded(id, one);
      const irregular = (Object.keys(later) as (keyof Recorded)[])
        .filter((what) => later[what] !== answer.recorded[what])
        .map((what) => `after the cancel was answered, ${later[what] - answer.recorded[what]} ${what} were written`);
      if (answer.afterMs > ANSWER_LIMIT_MS) irregular.push(`the cancel was answered after ${(answer.afterMs / 1000).toFixed(1)} s`);
      for (const step of await one.api.checkpointSteps(id)) await one.api.checkpointAdapter(id, step);
      return { lost: (await one.truth.job(id)).status !== 'cancelled', wrongBytes: false, irregular };
    },
  };
}
