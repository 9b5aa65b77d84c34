import { guardedFetch, PrivateAddressRefused } from '../network/guarded-fetch.ts';
import { SECRET_UNREADABLE } from '../secret-box.ts';
import type { Services } from '../services.ts';
import type { Attempt } from './delivery-store.ts';
import type { Endpoint } from './endpoint-store.ts';
import { signedHeaders } from './signature.ts';

/** For the whole exchange. A receiver that has much to do answers first and works afterwards. */
const SEND_TIMEOUT_MS = 10_000;

type Needs = Pick<Services, 'config' | 'secrets'>;
type Receiver = Pick<Endpoint, 'id' | 'url' | 'secret' | 'oldSecret' | 'oldSecretUntil'>;

/**
 * Sends one signed message once. Redirects are not followed, and what the receiver answers beyond its status is not read.
 * @param message.id the same for every attempt
 * @returns how it went, whatever went wrong
 */
export async function sendOnce(receiver: Receiver, message: { id: string; body: string }, { config, secrets }: Needs): Promise<Attempt> {
  const sentAt = new Date();
  const startedMs = performance.now();
  const deadline = AbortSignal.timeout(SEND_TIMEOUT_MS);
  const ended = (status_code: number | null, error: string | null): Attempt => {
    return { at: sentAt.toISOString(), status_code, duration_ms: Math.round(performance.now() - startedMs), error };
  };
  try {
    const sealed = [receiver.secret, ...(receiver.oldSecret !== null && receiver.oldSecretUntil! > sentAt ? [receiver.oldSecret] : [])];
    const opened = await Promise.all(sealed.map((secret) => secrets.open(secret, receiver.id)));
    const response = await guardedFetch(config.hub.privateHosts)(receiver.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...signedHeaders({ ...message, sentAt }, opened) },
      body: message.body,
      redirect: 'manual',
      signal: deadline,
    });
    await response.body?.cancel();
    return ended(response.status, response.ok ? null : refused(response.status));
  } catch (error) {
    return ended(null, deadline.aborted ? `it did not answer within ${SEND_TIMEOUT_MS / 1000} s` : failed(error as Error));
  }
}

function refused(status: number): string {
  if (status >= 300 && status < 400) return `it answered ${status}: redirects are not followed, so give the endpoint the final address`;
  return `it answered ${status}`;
}

/** In words that hold no more than the endpoint's owner knows. */
function failed(error: Error & { code?: string }): string {
  if (error instanceof PrivateAddressRefused || error.code === SECRET_UNREADABLE) return error.message;
  return `it could not be reached: ${error.code ?? error.message}`;
}
