import { createHash } from 'node:crypto';
import type { CreateJob } from './schema.ts';

/**
 * Identifies a request to create a job, to compare it with a later one under the same Idempotency-Key. Covers every field, those of later versions too.
 * The order of keys does not matter, and a field that is null counts as left out: both ask for the default.
 * @returns SHA-256, hex
 */
export function requestSha256(body: CreateJob): string {
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  return createHash('sha256')
    .update(JSON.stringify(given, (_, value: unknown) => (isObject(value) ? sorted(value) : value)))
    .digest('hex');
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);

const sorted = (object: object): object => Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
