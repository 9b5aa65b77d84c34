import { createHash } from 'node:crypto';
import type { Page } from 'playwright-core';
import type { Api } from '../../journey/api.ts';
import { JOURNEY_KEY } from '../../journey/service.ts';

/** A service with a job that has succeeded, and a browser at it. */
export interface Walk {
  /** Of the API, with `/v1`. */
  url: string;
  api: Api;
  fileId: string;
  jobId: string;
  /** A tab of its own at a page. */
  open(place: string, options?: { key?: string | null }): Promise<Page>;
}

/** Time for a job to be trained, or for a service to start, on a slow machine. */
export const SLOW_MS = 100_000;

/** What the API answers. @param body  posted, if there is one */
export async function ask<T>({ url }: Pick<Walk, 'url'>, path: string, body?: object): Promise<T> {
  const post = body && { method: 'POST', body: JSON.stringify(body) };
  const headers = { authorization: `Bearer ${JOURNEY_KEY}`, ...(body && { 'content-type': 'application/json' }) };
  return (await (await fetch(`${url}${path}`, { ...post, headers })).json()) as T;
}

export const sha256 = (content: Uint8Array): string => createHash('sha256').update(content).digest('hex');
