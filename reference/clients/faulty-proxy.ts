/**
 * A proxy before the service that damages answers, to see what clients do then. The path chooses the fault: a request to `/FAULT/NAME/v1/…` goes on to `/v1/…`.
 *
 * - `cut`: of the first request with that name the service gets everything, and the client gets nothing: the connection is closed before the answer
 * - `busy`: the first request with that name is answered 503 with `retry-after`
 * - `late`: every answer comes after two seconds
 */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const LATE_MS = 2_000;
const PATH = /^\/(cut|busy|late)\/([\w-]+)(\/.*)$/;
const BUSY = { error: { message: 'Try again', type: 'server_error', param: null, code: 'busy' } };

export interface FaultyProxy {
  url: string;
  close(): Promise<void>;
}

/** @param origin `http://127.0.0.1:PORT` of the service */
export async function faultyProxy(origin: string): Promise<FaultyProxy> {
  const damaged = new Set<string>();
  const server = createServer((incoming, outgoing) => {
    const [, fault = '', name = '', path = '/'] = PATH.exec(incoming.url ?? '') ?? [];
    const isFirst = !damaged.has(`${fault}/${name}`);
    damaged.add(`${fault}/${name}`);
    if (fault === 'busy' && isFirst) {
      outgoing.writeHead(503, { 'content-type': 'application/json', 'retry-after': '1' }).end(JSON.stringify(BUSY));
      incoming.resume();
    } else forward({ incoming, outgoing, url: `${origin}${path}`, cuts: fault === 'cut' && isFirst, lateMs: fault === 'late' ? LATE_MS : 0 });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Forwarding {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  url: string;
  cuts: boolean;
  lateMs: number;
}

function forward({ incoming, outgoing, url, cuts, lateMs }: Forwarding): void {
  const { host: _host, ...headers } = incoming.headers;
  const onward = request(url, { method: incoming.method!, headers }, async (answer) => {
    if (cuts) {
      answer.resume().once('end', () => outgoing.destroy());
      return;
    }
    await delay(lateMs);
    outgoing.writeHead(answer.statusCode!, answer.headers);
    answer.pipe(outgoing);
  });
  onward.once('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
