import { unixSeconds } from '../formats/unix-seconds.ts';

/** What a project can be told of: that a job has ended, under its final status. */
export const EVENT_TYPES = ['fine_tuning.job.succeeded', 'fine_tuning.job.failed', 'fine_tuning.job.cancelled'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

interface WebhookEvent {
  id: string;
  type: EventType;
  createdAt: Date;
  /** The job's id. */
  subjectId: string;
}

/** The contract's body. */
export const eventBody = ({ id, type, createdAt, subjectId }: WebhookEvent): string =>
  JSON.stringify({ object: 'event', id, type, created_at: unixSeconds(createdAt), data: { id: subjectId } });
