import { mkdtemp, readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openServerProcesses, type ServerProcesses } from './server-processes.ts';

let servers: ServerProcesses;
beforeAll(async () => {
  servers = await openServerProcesses();
});
afterAll(() => servers.close());

describe('a start that cannot work', () => {
  it('because the port is in use › ends, and names PORT', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as AddressInfo;
    const { exited, output } = servers.start({ PORT: String(port) });
    expect(await exited).toBe(1);
    expect(output()).toContain(`Port ${port} of 127.0.0.1 is in use`);
    expect(output()).toContain(`PORT=${port + 1}`);
    other.close();
  });

  it('because HOST is not of this machine › ends, and names HOST', async () => {
    const { exited, output } = servers.start({ HOST: '192.0.2.1' }); // for documentation, so nobody has it
    expect(await exited).toBe(1);
    expect(output()).toContain('HOST is "192.0.2.1", which is no address of this machine');
  });

  it.each(['127.0.0.1:9', 'localhost:9'])('because no database is at %s › ends, and names DATABASE_URL without its password', async (host) => {
    const { exited, output } = servers.start({ DATABASE_URL: `postgresql://me:sesame-open@${host}/graft` });
    expect(await exited).toBe(1);
    expect(output()).toContain(`The database at ${host}, which DATABASE_URL names, cannot be used: connect ECONNREFUSED`);
    expect(output()).not.toContain('sesame');
  });
});

describe('a start without Redis', () => {
  it('says in the log that REDIS_URL names none, without its password, and stops when told', async () => {
    const { child, exited, says } = servers.start({ REDIS_URL: 'redis://me:sesame-open@127.0.0.1:9/0' });
    const text = await says(/Redis at 127\.0\.0\.1:9, which REDIS_URL names, cannot be used/);
    await says(/Graft listens/);
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(text).not.toContain('sesame');
  });
});

describe('a start with an empty MODELS_DIR', () => {
  it('says in the log of its worker that it has no model, and works with those that are shipped', async () => {
    const empty = await mkdtemp(join(servers.dataDir, 'models-'));
    const { child, exited, says } = servers.start({ MODELS_DIR: empty, WORKERS: '1' });
    const text = await says(/worker ready/);
    const lines = text.split('\n').filter((line) => line.includes('MODELS_DIR has no model'));
    expect(lines.map((line) => JSON.parse(line) as object)).toEqual([expect.objectContaining({ level: 40, folder: empty })]);
    expect(text).toMatch(/"models":\["graft-tiny"\]/);
    child.kill('SIGTERM');
    await exited;
  });
});

describe('the log', () => {
  it('with LOG_FORMAT=pretty › has lines for readers', async () => {
    const { child, exited, says } = servers.start({ LOG_FORMAT: 'pretty' });
    expect(await says(/Graft listens.*\n/)).toMatch(/^\[\d\d:\d\d:\d\d\] INFO: Graft listens on http/m);
    child.kill('SIGTERM');
    await exited;
  });

  it('of a client that goes away during an upload and during a download › has no warning and no error', async () => {
    const { child, exited, says, output } = servers.start({});
    const url = /Graft listens on (http:\S+\/v1);/.exec(await says(/Graft listens on \S+;/))![1]!;
    const headers = { authorization: `Bearer ${(await readFile(join(servers.dataDir, 'api-key'), 'utf8')).trim()}` };
    const form = new FormData();
    form.set('purpose', 'user_data');
    form.set('file', new Blob([Buffer.alloc(32 * 1024 * 1024)]), 'zeros');
    const { id } = (await (await fetch(`${url}/files`, { method: 'POST', headers, body: form })).json()) as { id: string };

    const download = new AbortController();
    const { body } = await fetch(`${url}/files/${id}/content`, { headers, signal: download.signal });
    await body!.getReader().read();
    download.abort();

    const upload = new AbortController();
    const slow = new ReadableStream({
      start: (stream) => stream.enqueue(Buffer.from('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nx')),
    });
    const sent = fetch(`${url}/files`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'multipart/form-data; boundary=b' },
      body: slow,
      duplex: 'half',
      signal: upload.signal,
    });
    await delay(500);
    upload.abort();
    await expect(sent).rejects.toThrow();

    await delay(1_000); // whatever it says of them, it has said then
    child.kill('SIGTERM');
    await exited;
    const levels = output()
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { level: number }).level);
    expect(Math.max(...levels)).toBe(30);
  });
});
