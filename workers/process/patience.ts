/** When a training process that gives no sign of progress counts as hanging: stopped, in an endless loop, or waiting for a device that is gone. */
import { TrainingProcessDied } from './died.ts';
import type { Answer, Ready } from './messages.ts';

/**
 * How long each part of a run may go without a sign of progress. Generous: after a false alarm the job resumes from its checkpoint, but three in a row
 * end it.
 */
export interface Patience {
  /** Starting, between two reports of reading, opening the model, and the first step, which also compiles: a large model takes minutes on a slow disk. */
  preparingMs: number;
  /** Between steps or batches of an evaluation: this long at least, because the machine may be busy with other things, … */
  stepMs: number;
  /** … and this many times the longest step so far. */
  stepFactor: number;
  /** Writing a checkpoint or the result: 100 GB at 50 MB/s. */
  writingMs: number;
  /** Loading the delivered files, between batches of their evaluation, and between two weights that are analysed. */
  verifyingMs: number;
  /** In any phase, while a signal or a debugger has stopped it. */
  stoppedMs: number;
}

const MINUTE_MS = 60_000;

export const PATIENCE: Patience = {
  preparingMs: 15 * MINUTE_MS,
  stepMs: MINUTE_MS,
  stepFactor: 20,
  writingMs: 35 * MINUTE_MS,
  verifyingMs: 15 * MINUTE_MS,
  stoppedMs: MINUTE_MS,
};

/** How often the time is counted. */
const TICK_MS = 1_000;

export class TrainingProcessHung extends TrainingProcessDied {
  override readonly name = 'TrainingProcessHung';
  override readonly code = 'training_process_hung';
  override readonly hint = "The worker's log has the process's last output; ask whoever runs the worker.";

  constructor(
    /** `training`, `writing files`, … */
    readonly doing: string,
    readonly silentMs: number,
  ) {
    super(`no progress for ${Math.round(silentMs / 1000)} s`);
  }

  override get what(): string {
    return `The training process made no progress for ${Math.round(this.silentMs / 1000)} s while ${this.doing} and was ended`;
  }
}

type Reading = 'verifying the result' | 'analysing the result';

/**
 * What a training process is doing, as its answers tell.
 * @param isStopped whether a signal or a debugger has stopped it
 */
export function activity(patience: Patience, isStopped: () => boolean) {
  let doing: 'preparing' | 'training' | 'writing files' | Reading = 'preparing';
  let [steps, longestStepMs] = [0, 0];
  const limits = {
    preparing: () => patience.preparingMs,
    training: () => Math.max(patience.stepMs, patience.stepFactor * longestStepMs),
    'writing files': () => patience.writingMs,
    'verifying the result': () => patience.verifyingMs,
    'analysing the result': () => patience.verifyingMs,
  };
  return {
    /** From now on it reads what it delivered. */
    reads(why: Reading): void {
      doing = why;
    },
    /** @param waitedMs since the answer before it */
    answered(message: Ready | Answer, waitedMs: number): void {
      if (doing === 'verifying the result' || doing === 'analysing the result') return;
      if (message.answer === 'working' && message.at === 'writing') doing = 'writing files';
      else if (message.answer === 'step') {
        const stepMs = 1000 * (message.report.metrics['seconds'] ?? 0);
        // The first step of a process also compiles, so it counts only until the second is known; what came before it, such as opening the model, never.
        if (steps === 0) longestStepMs = stepMs;
        else longestStepMs = Math.max(steps === 1 ? 0 : longestStepMs, doing === 'training' ? waitedMs : 0, stepMs);
        steps++;
        doing = 'training';
      } else if (doing === 'writing files') doing = 'training';
    },
    /**
     * Waits for the next message. Time in which this process slept too (a suspended machine, Ctrl-Z) does not count.
     * @throws TrainingProcessHung
     */
    async within<T>(next: Promise<T>): Promise<T> {
      let timer: NodeJS.Timeout | undefined;
      const limitMs = limits[doing]();
      const hung = new Promise<never>((_, reject) => {
        let silentMs = 0;
        let stoppedMs = 0;
        let countedMs = performance.now();
        const tickMs = Math.min(TICK_MS, limitMs / 4, patience.stoppedMs / 4);
        timer = setInterval(() => {
          const nowMs = performance.now();
          const passedMs = Math.min(nowMs - countedMs, 2 * tickMs);
          countedMs = nowMs;
          silentMs += passedMs;
          stoppedMs = isStopped() ? stoppedMs + passedMs : 0;
          if (silentMs >= limitMs || stoppedMs >= patience.stoppedMs) reject(new TrainingProcessHung(doing, silentMs));
        }, tickMs);
      });
      try {
        return await Promise.race([next, hung]);
      } finally {
        clearInterval(timer);
      }
    },
  };
}
