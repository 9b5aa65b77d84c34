/** Requests to the hub. What answers may be a mirror of anyone, so their number, their size and where they lead are bounded. */
import type { HubConfig } from '../config.ts';
import { guardedFetch } from '../network/guarded-fetch.ts';
import { hubRefusal, hubUnreachable } from './hub-refusal.ts';

/** Describing a model takes about ten; a listing that never ends would take more. */
const MAX_REQUESTS = 100;

export interface HubRequests {
  /** `org/name`, for messages. */
  model: string;
  signal: AbortSignal;
  /** Limit on each answer's body. */
  maxBytes: number;
}

/** @returns makes a fetch that throws our refusals: the client's own errors lose the hub's error code */
export function openHubFetch({ endpoint, token, privateHosts }: Omit<HubConfig, 'allowed' | 'pushAllowed'>): (requests: HubRequests) => typeof fetch {
  const hub = new URL(endpoint);
  // The operator chose this host, whatever its address.
  const guarded = guardedFetch([hub.host, ...privateHosts]);

  return ({ model, signal, maxBytes }) => {
    let requests = 0;
    return async (input, init) => {
      requests += 1;
      if (requests > MAX_REQUESTS) throw hubUnreachable(endpoint, new Error(`it asks for more than ${MAX_REQUESTS} requests`));
      const headers = new Headers(init?.headers);
      const { origin } = new URL(input instanceof Request ? input.url : input);
      // The client also follows links in answers, and would send the token there.
      if (token !== null && origin !== hub.origin && headers.get('authorization') === `Bearer ${token}`) headers.delete('authorization');
      const response = await guarded(input, { ...init, headers, signal }).catch((error: unknown) => {
        throw signal.aborted && signal.reason?.name !== 'TimeoutError' ? signal.reason : hubUnreachable(endpoint, error);
      });
      if (response.ok || response.headers.get('x-error-code') === 'EntryNotFound') return withLimit(response, maxBytes);
      throw await hubRefusal(response, { model, endpoint, hasToken: token !== null });
    };
  };
}

/** @returns the same response, whose body fails once it is longer than the limit */
export function withLimit(response: Response, maxBytes: number): Response {
  if (response.body === null || maxBytes === Number.POSITIVE_INFINITY) return response;
  let bytes = 0;
  const limited = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.length;
        if (bytes > maxBytes) controller.error(new Error(`it sends more than ${maxBytes} bytes for ${new URL(response.url).pathname}`));
        else controller.enqueue(chunk);
      },
    }),
  );
  const { status, headers, url } = response;
  return Object.defineProperty(new Response(limited, { status, headers }), 'url', { value: url });
}
