/**
 * A client that lost the answer to a POST sends it again. With an `Idempotency-Key`, it gets the first answer again instead of a second job or file. The
 * official clients send no key, but count their retries: routes that create something large recognise those by their equal body.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import Type from 'typebox';
import { Refusal } from '../formats/refusal.ts';
import { jsonSha256, multipartHash } from '../retries/body-hash.ts';
import { keySha256, seal, unseal } from '../retries/sealed.ts';
import { type Claim, type Earlier, KEY_KEPT_MS, STILL_ALIVE_EVERY_MS } from '../retries/store.ts';
import type { Services } from '../services.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** For a request that may be sent again: what it creates exists once for each claim. */
    claim: Claim | null;
  }
  interface FastifyContextConfig {
    /** Recognises retries of the official clients, which send no Idempotency-Key, by `x-stainless-retry-count` and an equal body. */
    recognisesRetries?: boolean;
  }
}

/** The clients give up on an answer after ten minutes by default, and then wait for seconds. An equal request may be meant as a new one after that. */
const RETRY_WINDOW_MS = 15 * 60_000;
/** How long a repeated request waits for the first one; then the client may ask again by itself. */
const WAIT_MS = 10_000;
const LOOK_EVERY_MS = 100;
/** Longer answers are not kept. Those of a POST have some kilobytes. */
const MAX_ANSWER_LENGTH = 1024 * 1024;
/** The header says how often a request was sent before. */
const RETRY_COUNT = 'x-stainless-retry-count';

const Key = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 255,
    description: 'The same key with the same body, within 24 hours, gives the first answer again; with another body, it is refused with a 409.',
  }),
);

/** An `onRoute` hook: describes and checks the header of each POST. */
export function addIdempotencyKey(route: RouteOptions): void {
  if (route.method !== 'POST' || route.schema === undefined) return;
  const headers = route.schema.headers as Type.TObject | undefined;
  route.schema = { ...route.schema, headers: Type.Object({ ...headers?.properties, 'idempotency-key': Key }) };
}

interface Underway {
  claim: Claim;
  /** What opens the answer. */
  key: string;
  /** Known once the body has arrived. */
  bodySha256(): Promise<string>;
  keepAlive: NodeJS.Timeout;
}

/** Lets the POST routes of `app` be repeated. */
export function repeatSafely(app: FastifyInstance, { retries, log }: Pick<Services, 'retries' | 'log'>): void {
  const underway = new WeakMap<FastifyRequest, Underway>();
  app.decorateRequest('claim', null);
  app.addHook('onRoute', addIdempotencyKey);

  app.addHook('preHandler', async (request, reply) => {
    const key = keyOf(request);
    if (key === null) return;
    const body = bodyOf(request);
    const asked = {
      owner: request.principal.project,
      keySha256: keySha256(key.text),
      route: `${request.method} ${request.url}`,
      bodySha256: body.now,
    };
    const startedMs = performance.now();
    for (;;) {
      const found = await retries.claim(asked, key);
      if ('id' in found) {
        if (body.isOver) {
          await retries.release(found);
          throw stillInProgress(reply); // its body has been read to compare it, so it has to be sent again
        }
        const keepAlive = setInterval(() => void retries.keepAlive(found).catch(() => {}), STILL_ALIVE_EVERY_MS).unref();
        underway.set(request, { claim: found, key: key.text, bodySha256: body.sha256, keepAlive });
        request.claim = found;
        return;
      }
      const bodySha256 = await body.sha256();
      if (found.route !== asked.route || (found.bodySha256 !== null && found.bodySha256 !== bodySha256)) throw reused(found, key.text, reply);
      if (found.status !== null && found.answer !== null) {
        return reply
          .status(found.status)
          .type('application/json; charset=utf-8')
          .header('idempotent-replayed', 'true')
          .send(unseal(found.answer, key.text));
      }
      if (performance.now() - startedMs > WAIT_MS || request.raw.socket.destroyed) throw stillInProgress(reply);
      await delay(LOOK_EVERY_MS);
    }
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const mine = underway.get(request);
    if (mine === undefined) return;
    underway.delete(request);
    clearInterval(mine.keepAlive);
    const isKept = reply.statusCode < 300 && typeof payload === 'string' && payload.length <= MAX_ANSWER_LENGTH;
    const record = isKept
      ? retries.complete(mine.claim, { status: reply.statusCode, answer: seal(payload, mine.key), bodySha256: await mine.bodySha256() })
      : retries.release(mine.claim);
    // What the request did is done. Without its record, whoever sends it again waits until this claim counts as dead.
    await record.catch((error: unknown) => log.warn({ err: error }, 'the answer to a request could not be kept for its retries'));
  });
}

interface Key {
  text: string;
  keptMs: number;
  replaces?: boolean;
}

/** @returns null for a request that is not to be compared with others */
function keyOf({ method, headers, routeOptions, bodyText, url }: FastifyRequest): Key | null {
  if (method !== 'POST') return null;
  const key = headers['idempotency-key'];
  if (typeof key === 'string') return { text: `named ${key}`, keptMs: KEY_KEPT_MS };
  if (routeOptions.config.recognisesRetries !== true) return null;
  return { text: `body ${url} ${jsonSha256(bodyText)}`, keptMs: RETRY_WINDOW_MS, replaces: !(Number(headers[RETRY_COUNT] ?? 0) > 0) };
}

/** The hash of a request's body: of JSON at once, of a multipart body once it has been read. */
function bodyOf({ raw, bodyText, headers }: FastifyRequest): { now: string | null; sha256(): Promise<string>; readonly isOver: boolean } {
  const boundary = /^multipart\/form-data\s*;.*boundary="?([^";]+)/is.exec(headers['content-type'] ?? '')?.[1];
  if (boundary === undefined) {
    const now = jsonSha256(bodyText);
    return { now, sha256: async () => now, isOver: false };
  }
  const hash = multipartHash(boundary);
  // Paused, so that nothing is read before the route reads it, or before it is clear that no route will.
  raw.pause();
  raw.on('data', (chunk: Buffer) => hash.update(chunk));
  let digest: Promise<string> | undefined;
  const whenRead = async (): Promise<string> => {
    raw.resume();
    if (!raw.readableEnded && !raw.destroyed) await Promise.race([once(raw, 'end'), once(raw, 'close')]);
    return hash.digest();
  };
  return {
    now: null,
    sha256: () => {
      digest ??= whenRead();
      return digest;
    },
    get isOver() {
      return digest !== undefined;
    },
  };
}

function reused({ route, answer }: Earlier, key: string, reply: FastifyReply): Refusal {
  reply.header('x-should-retry', 'false'); // the official clients repeat a 409 otherwise
  const id = answer === null ? null : (JSON.parse(unseal(answer, key)) as { id?: string }).id;
  const answered = id == null ? '' : `, which answered ${id},`;
  return new Refusal('idempotency_key_reused', `The Idempotency-Key was already used for ${route}${answered} with a different body or address`, {
    param: 'idempotency-key',
    hint: 'Use a new key for a new request.',
  });
}

function stillInProgress(reply: FastifyReply): Refusal {
  reply.header('retry-after', 1);
  return new Refusal('request_in_progress', 'A request with the same key is still being answered', { hint: 'Send it again in a second.' });
}
