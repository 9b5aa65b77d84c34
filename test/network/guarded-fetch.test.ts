import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { guardedFetch } from '../../src/network/guarded-fetch.ts';
import { isPrivateAddress } from '../../src/network/private-address.ts';
import { type LocalServer, startLocalServer } from '../local-server.ts';

const servers: LocalServer[] = [];
async function serve(answer: RequestListener): Promise<string> {
  const server = await startLocalServer(answer);
  servers.push(server);
  return server.host;
}
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

describe('isPrivateAddress', () => {
  it.each([
    ...['127.0.0.1', '127.1.2.3', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '169.254.169.254', '100.64.0.1', '224.0.0.1'],
    ...['255.255.255.255', '::', '::1', 'fe80::1', 'fc00::1', 'fd12:3456::1', '::ffff:127.0.0.1', '::ffff:10.0.0.1', '::ffff:a9fe:a9fe', 'ff02::1'],
    ...['64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '2002:7f00:1::', '2001:db8::1'],
  ])('is true of %s', (address) => expect(isPrivateAddress(address)).toBe(true));

  it.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '192.169.0.1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])('is false of %s', (address) =>
    expect(isPrivateAddress(address)).toBe(false),
  );
});

describe('a guarded fetch', () => {
  it.each(['http://127.0.0.1:1/', 'http://[::1]:1/', 'http://localhost:1/', 'http://0x7f.1:1/', 'http://2130706433:1/', 'http://[::ffff:7f00:1]:1/'])(
    'does not connect to %s, however it is written',
    async (url) => {
      await expect(guardedFetch([])(url)).rejects.toThrow(/has a private address; ALLOW_PRIVATE_HOSTS can allow it/);
    },
  );

  it('to an allowed host › returns status, headers, the URL and the body', async () => {
    const host = await serve((request, response) =>
      response.writeHead(206, { 'x-name': 'v', 'content-range': 'bytes 0-1/2' }).end(`${request.headers.range} ${request.headers['user-agent']}`),
    );
    const response = await guardedFetch([host])(`http://${host}/a?b=c`, { headers: { range: 'bytes=0-1' } });
    expect([response.status, response.headers.get('x-name'), response.url]).toEqual([206, 'v', `http://${host}/a?b=c`]);
    expect(await response.text()).toBe('bytes=0-1 graft');
  });

  it('follows redirects to allowed hosts alone, and takes no key along to another one', async () => {
    const seen: (string | undefined)[] = [];
    const other = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end('there');
    });
    const hub = await serve((_, response) => response.writeHead(302, { location: `http://${other}/file` }).end());
    const headers = { authorization: 'Bearer secret' };
    expect(await (await guardedFetch([hub, other])(`http://${hub}/`, { headers })).text()).toBe('there');
    expect(seen).toEqual([undefined]);
    await expect(guardedFetch([hub])(`http://${hub}/`, { headers })).rejects.toThrow(`${other} has a private address`);
    expect(seen).toHaveLength(1);
  });

  it('gives up when redirects do not end, or lead to another protocol', async () => {
    const round = await serve((_, response) => response.writeHead(302, { location: '/again' }).end());
    await expect(guardedFetch([round])(`http://${round}/`)).rejects.toThrow(/redirects more than/);
    const file = await serve((_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end());
    await expect(guardedFetch([file])(`http://${file}/`)).rejects.toThrow(/file: is not supported/);
  });

  it('with a body › sends it once, and hands a redirect back', async () => {
    const bodies: string[] = [];
    const host = await serve(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += String(chunk);
      bodies.push(`${request.method} ${request.headers['content-length']} ${body}`);
      response.writeHead(307, { location: '/elsewhere' }).end();
    });
    const sent = { method: 'POST', body: '{"größe":1}', redirect: 'manual' } as const;
    expect((await guardedFetch([host])(`http://${host}/`, sent)).status).toBe(307);
    expect(bodies).toEqual(['POST 13 {"größe":1}']);
    await expect(guardedFetch([host])(`http://${host}/`, { method: 'POST', body: 'x' })).rejects.toThrow(TypeError);
    expect(bodies).toHaveLength(1);
  });
});
