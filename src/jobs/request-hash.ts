import { createHash } from 'node:crypto';
import { jsonText } from '../formats/json-text.ts';
import { type JsonObject, toJsonValue } from '../formats/json-value.ts';
import type { CreateJob } from './schema.ts';

/**
 * Identifies a request to create a job, to compare it with a later one under the same Idempotency-Key. Covers every field, those of later versions too.
 * The order of keys does not matter, and a field that is null counts as left out: both ask for the default.
 * @param kwargs the chat template's variables as the body has them, where 1 and 1.0 differ
 * @returns SHA-256, hex
 */
export function requestSha256(body: CreateJob, kwargs: JsonObject | null): string {
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  const text = jsonText(toJsonValue([given, kwargs]), { sorted: true });
  return createHash('sha256').update(text).digest('hex');
}
