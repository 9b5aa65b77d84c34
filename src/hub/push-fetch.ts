/** Requests that write to the hub: each is repeated while the hub asks to wait, and what it refuses is said in words of the export. */
import { setTimeout as delay } from 'node:timers/promises';
import type { HubConfig } from '../config.ts';
import { Refusal } from '../formats/refusal.ts';
import { cut } from '../formats/shown.ts';
import { guardedFetch } from '../network/guarded-fetch.ts';
import { withLimit } from './hub-fetch.ts';
import { hubUnreachable } from './hub-refusal.ts';

/** How often a request is made while the hub is busy or cannot be reached. */
const MAX_TRIES = 5;
/** Before the second try; doubled for each further one. */
const FIRST_WAIT_MS = 1_000;
/** A hub that wants a longer wait is asked by a later export. */
const MAX_WAIT_MS = 120_000;
/** Answers are small, but for the addresses of the parts of a large file. */
const MAX_ANSWER_BYTES = 16 * 2 ** 20;
/** Of what the hub says about an error. */
const MAX_REASON = 300;
const BUSY = [429, 500, 502, 503, 504];
/** Of a repository or a branch that exists already, or of a commit that another one has overtaken: the caller knows what to do. */
export const CONFLICTS = [409, 412];

interface Pushing {
  /** `org/name` */
  repoId: string;
  token: string;
  /** Whether `token` is the operator's. */
  isOperators: boolean;
  signal: AbortSignal;
  /** Receives how many bytes of large files have been sent since the last call; a negative number when they have to be sent again. */
  onSent(bytes: number): void;
}

/** @returns a fetch that throws our refusals, but for conflicts, which it returns */
export function openPushFetch({ endpoint, privateHosts }: Omit<HubConfig, 'allowed' | 'pushAllowed'>, pushing: Pushing): typeof fetch {
  const hub = new URL(endpoint);
  const guarded = guardedFetch([hub.host, ...privateHosts]);
  const { signal, token } = pushing;

  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const isOfHub = url.origin === hub.origin;
    const headers = new Headers(init?.headers);
    // Parts of large files go where the hub says, which must not see the token.
    if (!isOfHub && headers.get('authorization') === `Bearer ${token}`) headers.delete('authorization');
    const sends = init?.body != null;
    for (let tries = 1; ; tries++) {
      const counted = init?.body instanceof Blob ? countedBlob(init.body, pushing.onSent) : null;
      const request = { ...init, headers, signal, ...(counted && { body: counted.blob }), ...(sends && { redirect: 'manual' as const }) };
      const answer = await guarded(url, request).catch((error: Error) => {
        signal.throwIfAborted();
        return error;
      });
      if (answer instanceof Response && (answer.ok || CONFLICTS.includes(answer.status))) return withLimit(answer, MAX_ANSWER_BYTES);
      counted?.takeBack();
      const isPassing = answer instanceof Error || BUSY.includes(answer.status);
      const waitMs = FIRST_WAIT_MS * 2 ** (tries - 1);
      const askedMs = answer instanceof Error ? 0 : 1_000 * Number(answer.headers.get('retry-after') ?? 0) || 0;
      if (!isPassing || tries === MAX_TRIES || askedMs > MAX_WAIT_MS) throw await refusal(answer, { ...pushing, endpoint, isOfHub });
      if (answer instanceof Response) await answer.body?.cancel();
      await delay(Math.max(waitMs, askedMs), undefined, { signal });
    }
  };
}

/** A blob whose bytes are counted as they are read, and how to take the count back. */
function countedBlob(blob: Blob, onSent: (bytes: number) => void): { blob: Blob; takeBack(): void } {
  let sent = 0;
  const counting = () =>
    blob.stream().pipeThrough(
      new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
        transform(chunk, controller) {
          sent += chunk.length;
          onSent(chunk.length);
          controller.enqueue(chunk);
        },
      }),
    );
  const counted = Object.defineProperties(new Blob([]), { size: { value: blob.size }, stream: { value: counting } });
  return { blob: counted, takeBack: () => onSent(-sent) };
}

async function refusal(answer: Response | Error, { repoId, endpoint, isOperators, isOfHub }: Pushing & { endpoint: string; isOfHub: boolean }) {
  if (answer instanceof Error) return hubUnreachable(endpoint, answer);
  const { status } = answer;
  const whose = isOperators ? 'HF_TOKEN' : 'hub.token';
  const reason = await reasonOf(answer);
  const param = 'hub';
  if (status === 429)
    return new Refusal('hub_rate_limited', `The hub at ${endpoint} takes no more requests at the moment${reason}`, {
      param,
      hint: 'Export the model again later: what it has is not sent again.',
    });
  if (status >= 500) return hubUnreachable(endpoint, new Error(`it answered with status ${status}${reason}`));
  if (isOfHub && status === 401)
    return new Refusal('hub_token_refused', `The hub at ${endpoint} does not accept ${whose}${reason}`, {
      param: 'hub.token',
      hint: 'It must be a valid token that may write.',
    });
  // Without access, the hub does not distinguish a private repository from a missing one.
  if (isOfHub && (status === 403 || status === 404))
    return new Refusal('hub_push_forbidden', `The account of ${whose} may not write to "${repoId}" at ${endpoint}${reason}`, {
      param: 'hub.repo_id',
      hint: 'Name a repository of the account, or of an organization in which it may write, and use a token that may write.',
    });
  return new Refusal('hub_push_refused', `The hub at ${endpoint} refused the files with status ${status}${reason}`, { param });
}

/** What the hub says, to follow a sentence; empty if it says nothing. */
async function reasonOf(response: Response): Promise<string> {
  const text = await withLimit(response, MAX_ANSWER_BYTES)
    .text()
    .catch(() => '');
  const said = response.headers.get('x-error-message') ?? errorIn(text);
  return said === '' ? '' : `: ${cut(said.replace(/[\s.]+$/, ''), MAX_REASON)}`;
}

function errorIn(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' ? error : '';
  } catch {
    return '';
  }
}
