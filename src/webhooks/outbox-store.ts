import type { Transaction } from '../database/client.ts';
import { newDeliveryId, newWebhookEventId } from '../ids.ts';
import type { EventType } from './events.ts';

interface JobEnd {
  owner: string;
  jobId: string;
  status: 'succeeded' | 'failed' | 'cancelled';
  at: Date;
}

/**
 * Writes what the project's endpoints will be told, in the transaction in which the job ends: a process that dies right after it loses no event, and a
 * move that is rolled back tells nobody.
 */
export async function recordJobEnd(tx: Transaction, { owner, jobId, status, at }: JobEnd): Promise<void> {
  const eventType: EventType = `fine_tuning.job.${status}`;
  // Locked, because an endpoint that is deleted at this moment must not make the move fail.
  const endpoints = await tx.$queryRaw<{ id: string }[]>`
    SELECT id FROM webhook_endpoints WHERE owner = ${owner} AND disabled_at IS NULL AND ${eventType} = ANY(event_types) FOR KEY SHARE`;
  if (endpoints.length === 0) return;
  const event = { eventId: newWebhookEventId(), eventType, subjectId: jobId, createdAt: at, nextAttemptAt: at };
  await tx.webhookDelivery.createMany({ data: endpoints.map(({ id }) => ({ id: newDeliveryId(), endpointId: id, ...event })) });
}
