/** How tracking servers are asked. */

/** For one request, which writes at most a thousand numbers. */
const TIMEOUT_MS = 20_000;
/** Of the server's answer to a request that it refuses. */
const REASON_LENGTH = 300;

/** The server took the request for a wrong one: the same again will not help. */
export class TrackerRefusal extends Error {
  override readonly name = 'TrackerRefusal';
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Asked {
  method: 'GET' | 'POST';
  authorization: string | null;
  body?: object;
  /** Statuses after which the same request would be in vain. */
  refusals: readonly number[];
  /** The server's name, for messages. */
  server: string;
}

/** @throws TrackerRefusal; other errors when the server is away */
export async function answerOf<T>(url: URL, { method, authorization, body, refusals, server }: Asked): Promise<T> {
  const response = await fetch(url, {
    method,
    redirect: 'error', // the credentials are for this server
    headers: { 'content-type': 'application/json', 'user-agent': 'graft', ...(authorization !== null && { authorization }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text || '{}') as T;
  const { error_code: code = '', message, error } = asError(text);
  const reason = `${server} answered ${response.status}: ${(message ?? error ?? text).slice(0, REASON_LENGTH)}`;
  if (refusals.includes(response.status)) throw new TrackerRefusal(code, reason);
  throw new Error(reason);
}

/** @param reason what the server says of a request that it understood and does not carry out */
export const refusedBy = (server: string, reason: string): TrackerRefusal =>
  new TrackerRefusal('', `${server} answered: ${reason.slice(0, REASON_LENGTH)}`);

function asError(text: string): { error_code?: string; message?: string; error?: string } {
  try {
    const { error_code, message, error } = JSON.parse(text) as Record<string, unknown>;
    const named = Object.entries({ error_code, message, error }).filter(([, value]) => typeof value === 'string');
    return Object.fromEntries(named) as ReturnType<typeof asError>;
  } catch {
    return {};
  }
}
