/** A fetch for addresses that others name (a hub's redirects, a webhook): it connects to the internet alone, unless the operator has allowed the host. */
import { lookup } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import type { LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { isListed, isPrivateAddress, namesPrivateAddress } from './private-address.ts';

/** As many as a download from the hub needs, twice over. */
const MAX_REDIRECTS = 6;
/** A server that sends nothing for this long is given up. */
const IDLE_TIMEOUT_MS = 60_000;
/** Some servers refuse a request without them. */
const DEFAULT_HEADERS = { accept: '*/*', 'user-agent': 'graft' };
const REDIRECTS = [301, 302, 303, 307, 308];
/** Answers that have no body by definition; a Response refuses one for them. */
const WITHOUT_BODY = [101, 204, 205, 304];

/** The address is not on the internet, and the operator has not allowed it. */
export class PrivateAddressRefused extends Error {
  override readonly name = 'PrivateAddressRefused';
  constructor(host: string) {
    super(`${host} has a private address; ALLOW_PRIVATE_HOSTS can allow it`);
  }
}

/**
 * @param privateHosts hosts (`name` or `name:port`) that may have private addresses
 * @returns a fetch that connects to the very address that it checked, so that a name cannot point elsewhere between check and connection. It follows
 * redirects itself and checks the address of each; with `redirect: 'manual'`, which a request with a body (a text, or a blob that is sent as it is
 * read) must have, it returns them.
 * @throws PrivateAddressRefused, or the connection's error
 */
export function guardedFetch(privateHosts: readonly string[]): typeof fetch {
  return async (input, { headers: given, method = 'GET', signal, body, redirect } = {}) => {
    const follows = redirect !== 'manual';
    if (body != null && (follows || !(typeof body === 'string' || body instanceof Blob)))
      throw new TypeError('the body of a guarded request is a text or a blob that no redirect takes along');
    const content = (body ?? '') as string | Blob;
    let url = new URL(input instanceof Request ? input.url : input);
    const headers = new Headers(given);
    for (const [name, value] of Object.entries(DEFAULT_HEADERS)) if (!headers.has(name)) headers.set(name, value);
    if (content instanceof Blob) headers.set('content-length', String(content.size));
    for (let redirects = 0; ; redirects++) {
      const isAllowed = isListed(url, privateHosts);
      const options = { method, headers: Object.fromEntries(headers), ...(signal && { signal }) };
      const message = await connect(url, options, { isAllowed, body: content });
      const { location } = message.headers;
      if (!follows || location === undefined || !REDIRECTS.includes(message.statusCode!)) return asResponse(message, url);
      message.destroy();
      if (redirects === MAX_REDIRECTS) throw new Error(`${url.host} redirects more than ${MAX_REDIRECTS} times`);
      const next = new URL(location, url);
      if (next.origin !== url.origin) for (const name of ['authorization', 'cookie']) headers.delete(name);
      url = next;
    }
  };
}

interface Sent {
  isAllowed: boolean;
  /** Empty for none. */
  body: string | Blob;
}

function connect(url: URL, options: http.RequestOptions, { isAllowed, body }: Sent): Promise<http.IncomingMessage> {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new TypeError(`${url.protocol} is not supported; use https: or http:`);
  if (!isAllowed && namesPrivateAddress(url)) throw new PrivateAddressRefused(url.host);
  const { request } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    const sent = request(url, { ...options, timeout: IDLE_TIMEOUT_MS, ...(!isAllowed && { lookup: publicLookup }) });
    sent.once('response', resolve);
    sent.once('timeout', () => sent.destroy(new Error(`${url.host} sent nothing for ${IDLE_TIMEOUT_MS / 1000} s`)));
    sent.once('error', reject);
    if (typeof body === 'string') sent.end(body);
    else pipeline(Readable.fromWeb(body.stream() as ReadableStream), sent).catch(reject);
  });
}

/** A name's public addresses. The connection is made to one of those that this returns. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, found) => {
    if (error !== null) return callback(error, '', 0);
    const [first, ...more] = found.filter(({ address }) => !isPrivateAddress(address));
    if (first === undefined) return callback(new PrivateAddressRefused(hostname), '', 0);
    if (options.all === true) callback(null, [first, ...more]);
    else callback(null, first.address, first.family);
  });
};

function asResponse(message: http.IncomingMessage, url: URL): Response {
  const headers = new Headers();
  for (let index = 0; index < message.rawHeaders.length; index += 2) headers.append(message.rawHeaders[index]!, message.rawHeaders[index + 1]!);
  const status = message.statusCode!;
  const hasBody = !WITHOUT_BODY.includes(status);
  if (!hasBody) message.resume();
  const body = hasBody ? (Readable.toWeb(message) as ReadableStream<Uint8Array>) : null;
  return Object.defineProperty(new Response(body, { status, headers }), 'url', { value: url.href });
}
