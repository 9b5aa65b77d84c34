/** Waits for something that the service works on. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Context } from './context.ts';
import { EXIT } from './exit-code.ts';
import { isPassing } from './reported.ts';
import { clipped } from './terminal/text.ts';

interface Watched<T> {
  /** As it is now. */
  first: T;
  read(): Promise<T>;
  isOver(state: T): boolean;
  /** What a terminal shows meanwhile. */
  lines(state: T): string[];
  /** Called with each state that was read and is not the last, where there is no terminal. */
  told?(state: T): void;
  /** What Ctrl-C says, which ends the waiting alone. */
  interrupted: string;
  everyMs: number;
}

/** @returns the state in which it is over. An answer that fails in passing is asked for again */
export async function untilOver<T>(watched: Watched<T>, { output }: Pick<Context, 'output'>): Promise<T> {
  const { first, read, isOver, lines, told, interrupted, everyMs } = watched;
  const live = output.live();
  const onInterrupt = () => {
    live?.clear();
    output.note(interrupted);
    process.exit(EXIT.interrupted);
  };
  process.once('SIGINT', onInterrupt);
  let state = first;
  try {
    while (!isOver(state)) {
      live?.draw(lines(state).map((line) => clipped(line, output.columns)));
      if (live === null) told?.(state);
      await delay(everyMs);
      state = await read().catch((error: unknown) => {
        if (isPassing(error)) return state;
        throw error;
      });
    }
    return state;
  } finally {
    live?.clear();
    process.off('SIGINT', onInterrupt);
  }
}
