import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { Refusal } from '../formats/refusal.ts';

interface Asked {
  /** Of the connection, which a proxy on this machine has as well. */
  address: string | undefined;
  headers: IncomingHttpHeaders;
}

/** What a proxy adds, so that a request from this machine is not taken for one of this machine's own. */
const OF_PROXIES = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/**
 * Lets in requests with one of the keys and, unless the operator has set a key for this purpose, requests from the machine itself.
 * @param keys  that open it; null: not set
 * @throws Refusal
 */
export function requireReader({ address, headers }: Asked, { metricsKey, rootKey }: { metricsKey: string | null; rootKey: string | null }): void {
  const sent = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
  if (sent !== undefined && [metricsKey, rootKey].some((key) => key !== null && isSame(sent, key))) return;
  if (sent === undefined && metricsKey === null && isLocal({ address, headers })) return;
  throw new Refusal('invalid_api_key', sent === undefined ? 'The request has no key for /metrics' : 'The key does not open /metrics', {
    hint: `Send METRICS_KEY${rootKey === null ? '' : ' or the root key'} as "Authorization: Bearer KEY".`,
  });
}

/** The name that was asked for counts too: a page of another site can have its name point to this machine. */
function isLocal({ address = '', headers }: Asked): boolean {
  const host = URL.canParse(`http://${headers.host}`) ? new URL(`http://${headers.host}`).hostname.replace(/^\[|\]$/g, '') : '';
  return isLoopback(address) && (host === 'localhost' || isLoopback(host)) && !OF_PROXIES.some((name) => name in headers);
}

const isLoopback = (address: string): boolean =>
  address === '::1' || (isIP(address.replace(/^::ffff:/, '')) === 4 && /^(::ffff:)?127\./.test(address));

const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
const isSame = (one: string, other: string): boolean => timingSafeEqual(hash(one), hash(other));
