import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { openHub } from '../../src/hub/hub.ts';
import { downloadModel } from '../../workers/base-models/download.ts';
import { type LocalServer, startLocalServer } from '../local-server.ts';
import { processorStopwatch } from '../processor-time.ts';
import { filesOf, type HubServer, startHub } from './hub-server.ts';
import { COMMITS, repository } from './repository.ts';

const TINY = fileURLToPath(new URL('../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const model = { name: 'org/tiny', revision: null };

/** Answers instead of the hub, or returns false to let it answer. */
type Hostile = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

let hub: HubServer;
let mirror: LocalServer;
let hostile: Hostile;
const requests: { url: string; authorization: string | undefined }[] = [];

beforeEach(async () => {
  hub = await startHub();
  hub.repositories.set('org/tiny', repository(await filesOf(TINY)));
  hostile = () => false;
  requests.length = 0;
  mirror = await startLocalServer(async (request, response) => {
    requests.push({ url: request.url!, authorization: request.headers.authorization });
    if (await hostile(request, response)) return;
    const answer = await fetch(hub.url + request.url, { headers: request.headers as Record<string, string> });
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
});
afterEach(async () => {
  await mirror.close();
  await hub.close();
});

const open = (env: Record<string, string> = {}) =>
  openHub(readConfig({ HF_ENDPOINT: mirror.url, ALLOW_MODEL_DOWNLOAD: 'true', HF_TOKEN: 'hf_the_token', ...env }).hub);
const json = (response: ServerResponse, body: unknown, headers = {}) => {
  response.writeHead(200, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
  return true;
};
const isTree = ({ url: path = '' }: IncomingMessage) => path.includes('/tree/');
const isFile = ({ url: path = '' }: IncomingMessage, name: string) => path.includes(`/resolve/`) && path.endsWith(name);
const redirect = (response: ServerResponse, location: string) => {
  response.writeHead(302, { location }).end();
  return true;
};
/** Bytes without end, as fast as they are taken. */
function endless(response: ServerResponse, chunk: Buffer): boolean {
  function* chunks() {
    for (;;) yield chunk;
  }
  response.writeHead(200, { etag: '"x"', 'content-type': 'application/json' });
  Readable.from(chunks()).pipe(response);
  return true;
}

describe('a mirror', () => {
  it('that is honest serves as the hub', async () => {
    await expect(open().describe(model)).resolves.toMatchObject({ family: 'llama', commit: COMMITS[0] });
  });

  it.each<[string, Hostile, RegExp]>([
    [
      'lists without end',
      (request, response) => isTree(request) && json(response, [], { link: `<${mirror.url}${request.url}>; rel="next"` }),
      /more than 100 requests/,
    ],
    [
      'lists a million files',
      (request, response) =>
        isTree(request) &&
        json(
          response,
          Array.from({ length: 100_000 }, (_, index) => ({ type: 'file', path: `f${index}`, size: 1, oid: 'x' })),
        ),
      /lists more than 20000 files/,
    ],
    [
      'lists a negative size',
      (request, response) => isTree(request) && json(response, [{ type: 'file', path: 'config.json', size: -1 }]),
      /with -1 bytes/,
    ],
    [
      'lists a size that is a text',
      (request, response) => isTree(request) && json(response, [{ type: 'file', path: 'a', size: 'x'.repeat(1e6) }]),
      /bytes/,
    ],
    ['answers with an object instead of a list', (request, response) => isTree(request) && json(response, { a: 1 }), /iterable/],
    [
      'sends a listing without end',
      (request, response) => isTree(request) && endless(response, Buffer.alloc(65_536, '[')),
      /more than 16777216 bytes/,
    ],
    [
      'sends a config.json without end',
      (request, response) => isFile(request, 'config.json') && request.headers.range === undefined && endless(response, Buffer.alloc(65_536, ' ')),
      /more than 16777216 bytes/,
    ],
    [
      'answers with a commit that leads out of a directory',
      (request, response) =>
        request.url!.includes('/revision/') && json(response, { id: 'org/tiny', sha: '../../../etc', lastModified: '2026-01-01' }),
      /reports the commit/,
    ],
    ['redirects to this machine', (_, response) => redirect(response, 'http://127.0.0.1:6379/'), /private address/],
    ['redirects to the metadata of a cloud', (_, response) => redirect(response, 'http://169.254.169.254/latest'), /private/],
    ['redirects in a circle', (request, response) => redirect(response, request.url!), /redirects more than/],
    ['redirects to a file', (_, response) => redirect(response, 'file:///etc/passwd'), /not supported/],
  ])('that %s › is refused with the reason', async (_, act, message) => {
    hostile = act;
    await expect(open().describe(model)).rejects.toMatchObject({ message: expect.stringMatching(message) });
  });

  it.each([
    ['num_hidden_layers', 1e8],
    ['num_hidden_layers', 1e300],
    ['hidden_size', 2 ** 40],
    ['num_attention_heads', 2 ** 31],
    ['num_key_value_heads', 2 ** 31],
    ['head_dim', 2 ** 31],
    ['intermediate_size', 2 ** 45],
    ['vocab_size', 2 ** 40],
    ['max_position_embeddings', 2 ** 50],
    ['layer_types', Array.from({ length: 1e5 }, () => 'x'.repeat(50))],
    ['model_type', 'x'.repeat(1e6)],
  ])('whose config.json claims a %s beyond any model › is refused at once', async (field, value) => {
    hostile = (request, response) => {
      if (!isFile(request, 'config.json') || request.headers.range !== undefined) return false;
      const sizes = { hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 4, vocab_size: 100, intermediate_size: 128 };
      return json(response, { model_type: 'llama', ...sizes, [field]: value });
    };
    const spentMs = processorStopwatch();
    const error = (await open()
      .describe(model)
      .catch((thrown: unknown) => thrown)) as { code: string; message: string };
    expect(spentMs()).toBeLessThan(5_000);
    expect(error.code).toMatch(/^(corrupt_model_file|unsupported_architecture)$/);
    expect(error.message).toContain(field);
    expect(error.message.length).toBeLessThan(4_100);
  });

  it('whose config.json is nested a million deep › is refused', async () => {
    const deep = `{"model_type":"llama","rope_scaling":${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}}`;
    hostile = (request, response) => {
      if (!isFile(request, 'config.json') || request.headers.range !== undefined) return false;
      response.writeHead(200, { etag: '"x"' }).end(deep);
      return true;
    };
    await expect(open().describe(model)).rejects.toMatchObject({ code: expect.stringMatching(/corrupt_model_file|unsupported_architecture/) });
  });

  it('never gets the token of another host, and no other host gets the token', async () => {
    const seen: (string | undefined)[] = [];
    const other = await startLocalServer((request, response) => {
      seen.push(request.headers.authorization);
      json(response, []);
    });
    const { host } = other;
    hostile = (request, response) => isTree(request) && json(response, [], { link: `<http://${host}/more>; rel="next"` });
    await open({ ALLOW_PRIVATE_HOSTS: host })
      .describe(model)
      .catch(() => {});
    expect(requests.every(({ authorization }) => authorization === 'Bearer hf_the_token')).toBe(true);
    expect(seen).toEqual([undefined]);
    await other.close();
  });

  it('that sends more of a file than it lists › does not fill the disk', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'graft-hostile-'));
    hostile = (request, response) =>
      isFile(request, 'model.safetensors') && request.headers.range !== 'bytes=0-0' && endless(response, Buffer.alloc(65_536));
    const options = { hub: open(), dataDir, signal: new AbortController().signal };
    await expect(downloadModel({ name: 'org/tiny', commit: COMMITS[0] }, options)).rejects.toMatchObject({
      code: 'corrupt_download',
      message: expect.stringMatching(/sends more of model\.safetensors of "org\/tiny" than the \d+ bytes that it lists/),
    });
    const partial = join(dataDir, 'hub', 'org', 'tiny', `${COMMITS[0]}.partial`);
    const sizes = await Promise.all((await readdir(partial)).map(async (name) => (await stat(join(partial, name))).size));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(10_000_000);
    await rm(dataDir, { recursive: true });
  });
});
