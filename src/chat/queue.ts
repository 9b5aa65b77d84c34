/**
 * The way of a generation between the API and the workers: publish and subscribe on Redis, which keeps nothing. Whatever is lost on the way, with Redis, a
 * worker or the API, ends the request, and its client asks again.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { Refusal } from '../formats/refusal.ts';
import { connectRedis } from '../jobs/queue.ts';
import { type Inbox, lost, openInbox } from './inbox.ts';
import type { Answer, Generation, ServingStatus } from './messages.ts';

const PREFIX = 'graft:chat';
/** How often a worker says that it is there, and the API looks whether those that it waits for are. */
const PULSE_MS = 1_000;
/** A worker that has not said so for this long is gone. A busy machine may be late by seconds. */
const STATUS_KEPT_MS = 10_000;

/** How long a request waits for a connection to Redis that was lost. */
const RECONNECT_MS = 2_000;

const requestsOf = (workerId: string): string => `${PREFIX}:requests:${workerId}`;
const statusOf = (workerId: string): string => `${PREFIX}:status:${workerId}`;

type ToWorker = { generate: Generation; replyTo: string } | { cancel: string };
interface ToApi {
  id: string;
  /** From 0, without gaps. */
  seq: number;
  answer: Answer;
}

/** For the request to be sent to another worker. */
export class WorkerAway extends Error {
  override readonly name = 'WorkerAway';
}

const redisAway = (): Refusal =>
  new Refusal('generation_unavailable', 'Workers cannot be reached: Redis does not answer', { hint: 'Ask again in a few seconds.' });

export type ChatQueue = ReturnType<typeof openChatQueue>;

interface Options {
  onError(error: Error): void;
}

/** The API's side. */
export function openChatQueue(redisUrl: string, { onError }: Options) {
  const replyTo = `${PREFIX}:answers:${randomUUID()}`;
  const waiting = new Map<string, { workerId: string; inbox: Inbox }>();
  const redis = connectRedis(redisUrl, onError);
  /** A service that has just started is still connecting. */
  const tried = new Promise<void>((resolve) => redis.once('ready', resolve).once('close', resolve));
  const subscriber = subscribe(redis, replyTo, {
    onError,
    onMessage: (text) => {
      const { id, seq, answer } = JSON.parse(text) as ToApi;
      waiting.get(id)?.inbox.put(seq, answer);
    },
    onLost: () => {
      for (const { inbox } of waiting.values()) inbox.fail(lost('The connection to Redis was lost while the answer was generated'));
    },
  });

  const pulse = setInterval(() => {
    if (waiting.size > 0) lookForLost().catch(() => {}); // the connection's own events say that it is lost
  }, PULSE_MS);

  /** A killed worker no longer listens; a machine without power no longer says that it is there. */
  async function lookForLost(): Promise<void> {
    const ids = [...new Set([...waiting.values()].map(({ workerId }) => workerId))];
    const counts = (await redis.pubsub('NUMSUB', ...ids.map(requestsOf))) as (string | number)[];
    const statuses = await redis.mget(ids.map(statusOf));
    for (const [index, workerId] of ids.entries()) {
      if (Number(counts[2 * index + 1]) > 0 && statuses[index] !== null) continue;
      for (const { workerId: of, inbox } of waiting.values()) if (of === workerId) inbox.fail(lost('The worker that generated the answer has ended'));
    }
  }

  return {
    /** What workers say of themselves; those that serve nobody are left out. @throws Refusal when Redis does not answer */
    async statuses(workerIds: readonly string[]): Promise<Map<string, ServingStatus>> {
      if (workerIds.length === 0) return new Map();
      await tried;
      const texts = await redis.mget(workerIds.map(statusOf)).catch(() => {
        throw redisAway();
      });
      return new Map(workerIds.flatMap((id, index) => (texts[index] ? [[id, JSON.parse(texts[index]) as ServingStatus]] : [])));
    },

    /**
     * Has a worker generate. Ending the iteration, or aborting the signal, cancels it.
     * @throws WorkerAway before the first answer if the worker is not there; Refusal
     */
    async *ask(workerId: string, generation: Generation, signal: AbortSignal): AsyncGenerator<Answer> {
      const { id } = generation;
      const inbox = openInbox();
      const abort = () => inbox.fail(signal.reason as Error);
      signal.throwIfAborted();
      signal.addEventListener('abort', abort);
      waiting.set(id, { workerId, inbox });
      let isOver = false;
      try {
        await subscriber.ready();
        const receivers = await redis.publish(requestsOf(workerId), JSON.stringify({ generate: generation, replyTo } satisfies ToWorker));
        if (receivers === 0) {
          isOver = true;
          throw new WorkerAway();
        }
        for (;;) {
          const answer = await inbox.next();
          isOver = answer.kind === 'done' || answer.kind === 'failed';
          yield answer;
          if (isOver) return;
        }
      } catch (error) {
        throw error instanceof Refusal || error instanceof WorkerAway || signal.aborted ? error : redisAway();
      } finally {
        signal.removeEventListener('abort', abort);
        waiting.delete(id);
        if (!isOver) redis.publish(requestsOf(workerId), JSON.stringify({ cancel: id } satisfies ToWorker)).catch(() => {});
      }
    },

    async close(): Promise<void> {
      clearInterval(pulse);
      subscriber.close();
      redis.disconnect();
    },
  };
}

export type Reply = (answer: Answer) => void;

interface ServingOptions extends Options {
  status(): ServingStatus;
  /** @param signal aborted when nobody waits for the answer any more. Must not throw */
  generate(generation: Generation, reply: Reply, signal: AbortSignal): Promise<void>;
}

/** A worker's side: takes what is sent to it until it is closed. */
export function serveChat(redisUrl: string, workerId: string, { status, generate, onError }: ServingOptions) {
  const running = new Map<string, AbortController>();
  const redis = connectRedis(redisUrl, onError);
  const run = async (generation: Generation, replyTo: string): Promise<void> => {
    const cancelled = new AbortController();
    running.set(generation.id, cancelled);
    let seq = 0;
    const reply: Reply = (answer) => {
      const message = JSON.stringify({ id: generation.id, seq: seq++, answer } satisfies ToApi);
      redis.publish(replyTo, message).then(
        (receivers) => receivers === 0 && cancelled.abort(new Error('the API process that asked is gone')),
        () => cancelled.abort(new Error('the answer could not be sent')),
      );
    };
    try {
      await generate(generation, reply, cancelled.signal);
    } finally {
      running.delete(generation.id);
      announce();
    }
  };
  const subscriber = subscribe(redis, requestsOf(workerId), {
    onError,
    onMessage: (text) => {
      const message = JSON.parse(text) as ToWorker;
      if ('cancel' in message) running.get(message.cancel)?.abort(new Error('the request was cancelled'));
      else void run(message.generate, message.replyTo).then(undefined, onError);
      announce();
    },
    onLost: () => {},
  });
  const announce = () => void redis.set(statusOf(workerId), JSON.stringify(status()), 'PX', STATUS_KEPT_MS).catch(() => {});
  const pulse = setInterval(announce, PULSE_MS);
  redis.on('ready', announce);

  return {
    announce,
    async close(): Promise<void> {
      clearInterval(pulse);
      for (const cancelled of running.values()) cancelled.abort(new Error('the worker is stopping'));
      await redis.del(statusOf(workerId)).catch(() => {});
      subscriber.close();
      redis.disconnect();
    },
  };
}

interface SubscriberOptions extends Options {
  onMessage(text: string): void;
  onLost(): void;
}

/** A connection that hears one channel, and hears it again after the connection was lost. */
function subscribe(redis: Redis, channel: string, { onMessage, onLost, onError }: SubscriberOptions) {
  const subscriber = redis.duplicate({ maxRetriesPerRequest: null, enableOfflineQueue: true });
  subscriber.on('error', onError);
  subscriber.on('close', onLost);
  subscriber.on('message', (_channel, text: string) => onMessage(text));
  let isPending = false;
  let subscribed = Promise.resolve();
  const hear = () => {
    if (isPending) return;
    isPending = true;
    subscribed = subscriber.subscribe(channel).then(() => {
      isPending = false;
    });
    subscribed.catch(() => {}); // `ready` waits for it
  };
  hear();
  subscriber.on('close', hear); // the next connection carries it out
  return {
    /** @throws Refusal when the channel is not heard within a moment, in which a lost connection is usually back */
    async ready(): Promise<void> {
      const inTime = await Promise.race([subscribed.then(() => true), delay(RECONNECT_MS, false, { ref: false })]);
      if (!inTime) throw redisAway();
    },
    close: () => subscriber.disconnect(),
  };
}
