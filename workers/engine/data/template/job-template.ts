/** What a job says about chat templates. */
import { createHash } from 'node:crypto';
import { jsonText } from '../../../../src/formats/json-text.ts';
import type { JsonObject } from '../../../../src/formats/json-value.ts';

export interface JobTemplate {
  /** A template to use instead of the model's. */
  source?: string | undefined;
  /** Variables for every example. */
  kwargs?: JsonObject | undefined;
}

/** @returns a hash of all of it, hex; null if the job says nothing */
export function jobTemplateSha256({ source, kwargs }: JobTemplate): string | null {
  if (source === undefined && (kwargs === undefined || kwargs.size === 0)) return null;
  return createHash('sha256')
    .update(JSON.stringify([source ?? null, jsonText(kwargs ?? new Map(), { sorted: true })]))
    .digest('hex');
}
