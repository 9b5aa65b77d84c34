import { isRecord } from '../formats/record.ts';
import { CreateJob, JobObject } from './schema.ts';

/** What a job shows and a request cannot ask for: the service writes it. */
const SHOWN_ONLY = Object.keys(JobObject.properties).filter((key) => !(key in CreateJob.properties));

/**
 * A job as the service shows it is also a request for another one like it: what only the service writes has no effect. It is recognised by its `object`;
 * in any other body those fields are refused, as all are that would do nothing.
 */
export function asRequest(body: unknown): unknown {
  if (!isRecord(body) || body['object'] !== 'fine_tuning.job') return body;
  // Shown in both places, and a request may use one.
  const ignored = new Set(body['method'] === undefined ? SHOWN_ONLY : [...SHOWN_ONLY, 'hyperparameters']);
  return Object.fromEntries(Object.entries(body).filter(([key]) => !ignored.has(key)));
}
