import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REQUESTS_STOP_MS, START_STOP_MS } from '../src/stop-in-time.ts';
import { openServerProcesses, type ServerProcesses } from './server-processes.ts';

let servers: ServerProcesses;
beforeAll(async () => {
  servers = await openServerProcesses();
});
afterAll(() => servers.close());

interface Server {
  client: OpenAI;
  log(): string;
  /** @returns its exit code */
  stop(): Promise<number | null>;
}

async function start(settings: Record<string, string> = {}): Promise<Server> {
  const { child, output, exited, says } = servers.start(settings);
  const listening = /Graft listens on (\S+);/;
  const baseURL = listening.exec(await says(listening))![1]!;
  const apiKey = (await readFile(join(servers.dataDir, 'api-key'), 'utf8')).trim();
  return {
    client: new OpenAI({ baseURL, apiKey, maxRetries: 0 }),
    log: output,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
  };
}

describe('the server', () => {
  it('keeps its key and files when started again on the same DATA_DIR, and stops cleanly', async () => {
    const first = await start();
    expect((await stat(join(servers.dataDir, 'api-key'))).mode & 0o777).toBe(0o600);
    expect(first.log()).toContain(join(servers.dataDir, 'api-key'));
    const { id } = await first.client.files.create({ file: new File(['{"prompt":"a","completion":"b"}\n'], 'a.jsonl'), purpose: 'fine-tune' });
    expect(await first.stop()).toBe(0);

    const second = await start();
    expect((await second.client.files.list()).data.map((file) => file.id)).toEqual([id]);
    expect(await (await second.client.files.content(id)).text()).toContain('"prompt"');
    expect(await second.stop()).toBe(0);
  });

  it('told to stop during slow uploads › cuts them off and stops in time', async () => {
    const { stop, client } = await start();
    const { hostname, port } = new URL(client.baseURL);
    const uploads = Array.from({ length: 20 }, () => {
      const headers = { authorization: `Bearer ${client.apiKey}`, 'content-type': 'multipart/form-data; boundary=b', 'transfer-encoding': 'chunked' };
      const upload = request({ hostname, port, method: 'POST', path: '/v1/files', headers });
      upload.on('error', () => {}); // cut off
      upload.write('--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{');
      return upload;
    });
    const timer = setInterval(() => {
      for (const upload of uploads) upload.write(' ');
    }, 200);
    await delay(1_000);
    const begunMs = Date.now();
    expect(await stop()).toBe(0);
    expect(Date.now() - begunMs).toBeLessThan(REQUESTS_STOP_MS + 10_000);
    clearInterval(timer);
  });

  it('exits with an error that names an invalid setting', async () => {
    await expect(start({ PORT: 'http' })).rejects.toThrow('PORT is "http"');
  });

  it('told to stop while a database does not answer yet › stops in time', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    const { port } = silent.address() as AddressInfo;
    const { child, exited } = servers.start({ DATABASE_URL: `postgresql://u:p@127.0.0.1:${port}/d`, REDIS_URL: '/nowhere' });
    await expect.poll(() => sockets.size, { timeout: 60_000 }).toBeGreaterThan(0);
    const startedMs = performance.now();
    child.kill('SIGTERM');
    await exited;
    expect(performance.now() - startedMs).toBeLessThan(START_STOP_MS + 5_000);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
});
