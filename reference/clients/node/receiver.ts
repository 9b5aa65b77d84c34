/** A server that receives webhooks, as a user of the service would run one. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Delivery {
  body: string;
  headers: Record<string, string>;
}

/** The service sends within a few seconds of what ends a job. */
const DELIVERED_WITHIN_MS = 30_000;

export interface Receiver {
  url: string;
  /** The first delivery, received already or not yet, that matches. */
  next(matching: (delivery: Delivery) => boolean): Promise<Delivery>;
  close(): Promise<void>;
}

export async function receiver(): Promise<Receiver> {
  const received: Delivery[] = [];
  const waiting = new Set<() => void>();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    received.push({ body: Buffer.concat(chunks).toString('utf8'), headers });
    response.end('ok');
    for (const look of waiting) look();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    next: (matching) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          waiting.delete(look);
          reject(new Error(`no such delivery within ${DELIVERED_WITHIN_MS / 1000} s; ${received.length} others came`));
        }, DELIVERED_WITHIN_MS);
        const look = () => {
          const found = received.find(matching);
          if (found === undefined) return;
          clearTimeout(late);
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
