/** An HTTP proxy in front of an S3-compatible server that refuses, delays or cuts requests. */
import { createServer, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/** `read-only` and `full` refuse writes as S3 servers do; `away` cuts every connection; a number delays each request by that many milliseconds. */
export type StoreMode = 'well' | 'read-only' | 'full' | 'away' | number;

export interface StoreProxy {
  endpoint: string;
  set(mode: StoreMode): void;
  close(): Promise<void>;
}

const REFUSALS = {
  'read-only': { status: 403, code: 'AccessDenied' },
  full: { status: 507, code: 'InsufficientStorage' },
} as const;

export async function openStoreProxy(endpoint: string): Promise<StoreProxy> {
  const target = new URL(endpoint);
  let mode: StoreMode = 'well';
  const server = createServer(async (incoming, response) => {
    if (mode === 'away') {
      incoming.socket.destroy();
      return;
    }
    const isRead = incoming.method === 'GET' || incoming.method === 'HEAD';
    if (!isRead && (mode === 'read-only' || mode === 'full')) {
      const { status, code } = REFUSALS[mode];
      incoming.resume();
      response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`);
      return;
    }
    if (typeof mode === 'number') await delay(mode);
    const outgoing = request(
      { host: target.hostname, port: target.port, method: incoming.method, path: incoming.url, headers: incoming.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    outgoing.on('error', () => response.destroy());
    response.on('close', () => outgoing.destroy());
    incoming.pipe(outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${port}`,
    set: (next) => {
      mode = next;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
