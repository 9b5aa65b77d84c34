import type { Services } from '../services.ts';
import { GIVE_UP_AFTER_MS, pauseMs } from './backoff.ts';
import type { Attempt, Delivery } from './delivery-store.ts';
import type { Endpoint } from './endpoint-store.ts';
import { eventBody } from './events.ts';
import { sendOnce } from './send.ts';

/** How soon after its event a delivery is first tried. The question costs one look into an index. */
export const DELIVER_EVERY_MS = 2_000;
/** Attempts at a time, of this process. */
const MAX_IN_FLIGHT = 32;
/** Of one endpoint, so that a slow one leaves room for the others. */
const MAX_PER_ENDPOINT = 4;
/** The receiver will never come back (Standard Webhooks). */
const GONE = 410;
/** How long the log of deliveries is kept after they have ended. */
const KEEP_LOG_DAYS = 30;

type Needs = Pick<Services, 'config' | 'log' | 'webhooks' | 'deliveries' | 'secrets' | 'instruments'>;

export interface Deliverer {
  /** Begins the attempts that are due, as many as there is room for, and does not wait for them. */
  begin(): Promise<void>;
  /** Waits for the attempts that have begun. */
  idle(): Promise<void>;
}

/** Sends what is in the outbox. Any number of processes may do it at once: each takes what no other has. */
export function openDeliverer(services: Needs): Deliverer {
  const { deliveries, log } = services;
  /** Attempts that have begun, with their endpoints. */
  const inFlight = new Map<Promise<void>, string>();
  return {
    async begin() {
      const room = MAX_IN_FLIGHT - inFlight.size;
      if (room === 0) return;
      const busy = [...inFlight.values()];
      const except = busy.filter((id) => busy.filter((other) => other === id).length >= MAX_PER_ENDPOINT);
      for (const delivery of await deliveries.claim(room, { except: [...new Set(except)], perEndpoint: MAX_PER_ENDPOINT })) {
        const attempt: Promise<void> = deliver(delivery, services)
          .catch((error: unknown) => log.error({ err: error, delivery: delivery.id }, 'how a webhook went could not be recorded; it is sent again'))
          .finally(() => inFlight.delete(attempt));
        inFlight.set(attempt, delivery.endpointId);
      }
    },

    async idle() {
      await Promise.all(inFlight.keys());
    },
  };
}

/** Makes one attempt and records it. */
async function deliver(delivery: Delivery & { endpoint: Endpoint }, services: Needs): Promise<void> {
  const { endpoint, eventId, eventType, ...event } = delivery;
  const made = await sendOnce(endpoint, { id: delivery.id, body: eventBody({ ...event, id: eventId, type: eventType }) }, services);
  services.instruments.webhookAttempts.inc({ outcome: made.error === null ? 'delivered' : 'refused' });
  await services.deliveries.record(delivery, made, outcomeOf(delivery, made));
  if (made.status_code === GONE) await services.webhooks.disable(endpoint.id);
  const { id, attempt } = delivery;
  services.log.info({ delivery: id, endpoint: endpoint.id, attempt, ...made }, made.error === null ? 'webhook delivered' : 'webhook not delivered');
}

function outcomeOf({ attempt, createdAt }: Delivery, made: Attempt): { status: Delivery['status']; pauseMs: number | null } {
  if (made.error === null) return { status: 'delivered', pauseMs: null };
  const pause = pauseMs(attempt, Math.random());
  const isTooLate = Date.now() + pause - createdAt.getTime() > GIVE_UP_AFTER_MS;
  return made.status_code === GONE || isTooLate ? { status: 'failed', pauseMs: null } : { status: 'pending', pauseMs: pause };
}

/** Forgets what is no longer needed: the log of old deliveries, and old secrets. */
export async function sweepWebhooks({ webhooks, deliveries, log }: Needs): Promise<void> {
  await webhooks.forgetOldSecrets();
  const forgotten = await deliveries.forget(KEEP_LOG_DAYS);
  if (forgotten > 0) log.info({ deliveries: forgotten }, 'removed old deliveries of webhooks from the log');
}
