import type { Page } from 'playwright-core';
import type { Api } from '../../journey/api.ts';

/** A service with a job that has succeeded, and a browser at it. */
export interface Walk {
  api: Api;
  fileId: string;
  jobId: string;
  /** A tab of its own at a page. */
  open(place: string, options?: { key?: string | null }): Promise<Page>;
}

/** Time for a job to be trained, or for a service to start, on a slow machine. */
export const SLOW_MS = 100_000;
