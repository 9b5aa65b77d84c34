import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Logger } from 'pino';

/** Hears what is committed elsewhere, through Postgres's NOTIFY. */
export interface Listener {
  /**
   * @param hear called with the payload of each notice, and with null whenever some may have been missed: when the connection is there, again or for the
   *   first time. The connection is opened by the first call.
   * @returns ends the subscription
   */
  subscribe(hear: (payload: string | null) => void): () => void;
  /** Whether notices arrive; while they do not, whoever needs them has to look by itself. */
  isHearing(): boolean;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5_000;
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;
/**
 * How often the listener sends itself a notice. A connection can be dead without a sign, and a pooler that gives each transaction another connection lets
 * no notice through.
 */
const PROBE_EVERY_MS = 15_000;
const PROBE_TIMEOUT_MS = 5_000;
/** The payload of such a notice. */
const PROBE = '';
const UNHEARD = `a notice to itself did not arrive within ${PROBE_TIMEOUT_MS / 1000} s: is there a pooler that shares connections between transactions?`;

export function openListener(databaseUrl: string, { channel, log }: { channel: string; log: Logger }): Listener {
  const closing = new AbortController();
  const subscribers = new Set<(payload: string | null) => void>();
  let hearing = false;
  let running: Promise<void> | null = null;

  const tell = (payload: string | null) => {
    for (const hear of subscribers) hear(payload);
  };

  async function run(): Promise<void> {
    for (let retryMs = MIN_RETRY_MS; !closing.signal.aborted; retryMs = Math.min(MAX_RETRY_MS, 2 * retryMs)) {
      try {
        await listen(() => {
          retryMs = MIN_RETRY_MS;
        });
      } catch (error) {
        if (closing.signal.aborted) return;
        log.warn({ err: error, channel }, 'notices of the database do not arrive: events are looked up every few seconds until they do');
      }
      await delay(retryMs, undefined, { signal: closing.signal }).catch(() => {});
    }
  }

  /** @throws the reason why no notices arrive any more */
  async function listen(onHearing: () => void): Promise<void> {
    const client = new pg.Client({
      connectionString: databaseUrl,
      application_name: `graft ${channel}`,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: PROBE_TIMEOUT_MS,
      keepAlive: true,
    });
    const over = new AbortController();
    const end = (reason: Error) => over.abort(reason);
    const onClosing = () => end(new Error('the listener is closed'));
    closing.signal.addEventListener('abort', onClosing);
    client.on('error', end);
    client.on('end', () => end(new Error('the connection was closed')));
    let onProbe = () => {};
    client.on('notification', ({ payload = PROBE }) => (payload === PROBE ? onProbe() : tell(payload)));
    const probe = async () => {
      const arrived = new AbortController();
      onProbe = () => arrived.abort();
      await client.query('SELECT pg_notify($1, $2)', [channel, PROBE]);
      await delay(PROBE_TIMEOUT_MS, undefined, { signal: AbortSignal.any([arrived.signal, over.signal]) }).catch(() => {});
      over.signal.throwIfAborted();
      if (!arrived.signal.aborted) throw new Error(UNHEARD);
    };
    try {
      await client.connect();
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
      await probe();
      hearing = true;
      onHearing();
      tell(null);
      for (;;) {
        await delay(PROBE_EVERY_MS, undefined, { signal: over.signal }).catch(() => {});
        over.signal.throwIfAborted();
        await probe();
      }
    } finally {
      hearing = false;
      closing.signal.removeEventListener('abort', onClosing);
      await client.end().catch(() => {});
    }
  }

  return {
    subscribe(hear) {
      subscribers.add(hear);
      running ??= run();
      return () => subscribers.delete(hear);
    },
    isHearing: () => hearing,
    async close() {
      closing.abort();
      await running;
    },
  };
}
