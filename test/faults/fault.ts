/** What a row of the table is made of. */

import type { Random } from '../random.ts';
import type { Api } from './api.ts';
import type { Home } from './home.ts';
import type { Findings } from './invariants.ts';
import type { Length } from './jobs.ts';
import type { Service } from './service.ts';
import type { Truth } from './truth.ts';

export interface Fault {
  /** As in the table. */
  name: string;
  /** How long its jobs train; short if it does not say. */
  length?: Length;
  /** Jobs that are created at once, all disturbed; 1 if it does not say. */
  jobs?: number;
  /** Whether jobs may train beside each other; if it does not say, each trains alone. */
  beside?: boolean;
  /** Whether the service is started anew for each try; if it does not say, one runs through all of them. */
  fresh?: boolean;
  /** Workers that the service runs; 1 if it does not say. */
  workers?: number;
  /** A try or two of it run in `npm test`. */
  open(home: Home): Promise<Disturbance> | Disturbance;
}

/** A fault with what it needs around the service. */
export interface Disturbance {
  /** The service's settings, such as the addresses of servers that the fault can disturb. */
  env?: Record<string, string>;
  /** Where the truth is read, if it is not in the embedded Postgres. */
  databaseUrl?: string;
  /** Disturbs the service while its jobs run, and brings back what the service cannot. */
  disturb(one: Try): Promise<void>;
  /** Instead of "succeeded, with the bytes of an undisturbed run". */
  check?(jobId: string, one: Try): Promise<Findings>;
  close?(): Promise<void>;
}

/** One try. */
export interface Try {
  service: Service;
  api: Api;
  truth: Truth;
  random: Random;
  jobIds: readonly string[];
  /** The first of them. */
  jobId: string;
  /** Waits until some moment in the life of an undisturbed job. */
  untilRandomMoment(): Promise<void>;
  /** Waits until steps have been recorded that were not before. */
  untilProgress(): Promise<void>;
  /** Waits until a checkpoint has been recorded that was not before. */
  untilCheckpoint(): Promise<void>;
  /** From now on, the service can continue with this job; if it does not say, with the first. Without a call, when `disturb` returns. */
  canContinue(jobId?: string): void;
}

/** A fault that needs nothing but the service. */
export const plain = (name: string, disturb: (one: Try) => Promise<void>, more: Omit<Fault, 'name' | 'open'> = {}): Fault => ({
  name,
  ...more,
  open: () => ({ disturb }),
});
