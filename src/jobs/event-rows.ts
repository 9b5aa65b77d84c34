import { redacted } from '../formats/secrets.ts';
import { newEventId } from '../ids.ts';
import type { NewEvent } from './job.ts';

/**
 * Rows of new events, in order. Made before a write that may be repeated: with `skipDuplicates`, the ids keep each event single.
 * Their messages may quote errors, so no secret passes.
 */
export const eventRows = (jobId: string, events: readonly NewEvent[]) =>
  events.map(({ level, message, type = 'message', data }) => ({
    id: newEventId(),
    jobId,
    level,
    message: redacted(message),
    type,
    ...(data && { data }),
  }));
