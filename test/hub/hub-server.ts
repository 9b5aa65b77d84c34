import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { type LocalServer, startLocalServer } from '../local-server.ts';
import { answerPush, type Pushes } from './hub-pushes.ts';
import { LARGE_BYTES } from './repository.ts';

type Trouble = 'cut' | 'corrupt' | undefined;

/** A small server that speaks the parts of the hub's protocol needed to read and write models. */
export interface HubServer extends LocalServer, Pushes {
  /** One entry per response with a file's content: what was requested and how many bytes were sent. */
  served: { file: string; from: number; bytes: number }[];
  /** Called before each chunk of a file; `cut` ends the connection there, `corrupt` sends other bytes. */
  trouble: ((file: string, sentBytes: number) => Trouble | Promise<Trouble>) | null;
  /** How many of the next requests are answered with 503. */
  failing: number;
}

export async function filesOf(dir: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(dir, { withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(dir, name))] as const)));
}

const CHUNK_BYTES = 16 * 1024;

export async function startHub(): Promise<HubServer> {
  const hub: State = {
    ...{ repositories: new Map(), served: [], trouble: null, failing: 0 },
    ...{ writers: new Map(), lfs: new Map(), requests: [], refusing: null },
  };
  const server = await startLocalServer((request, response) => {
    answer(hub, request, response).catch((error: unknown) => {
      response.statusCode = 500;
      response.end(String(error));
    });
  });
  return Object.assign(hub, server);
}

type State = Omit<HubServer, keyof LocalServer>;

async function answer(hub: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') return void (await answerPush(hub, request, response));
  const url = new URL(request.url!, 'http://hub');
  const refuse = (status: number, code: string) => {
    response.writeHead(status, { 'x-error-code': code, 'x-error-message': code, 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: code }));
  };
  if (hub.failing > 0) {
    hub.failing -= 1;
    return void response.writeHead(503).end();
  }
  const path = decodeURIComponent(url.pathname);
  const [, api, name, kind, revision, rest = ''] =
    /^\/(api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)(?:\/(.+))?$/.exec(path) ?? ([] as (string | undefined)[]);
  const repository = hub.repositories.get(name ?? '');
  if (repository === undefined) return refuse(401, 'RepoNotFound');
  const commit = repository.refs.get(revision!) ?? revision!;
  const files = repository.commits.get(commit);
  if (files === undefined) return refuse(404, 'RevisionNotFound');
  const json = (body: unknown) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  if (api !== undefined && kind === 'revision') {
    const facts = {
      private: repository.isPrivate === true,
      gated: repository.gatedFor !== undefined,
      downloads: 1,
      likes: 1,
      lastModified: '2026-01-02T03:04:05.000Z',
    };
    return json({ _id: 'id', id: name, sha: commit, ...facts });
  }
  if (api !== undefined && kind === 'tree') return json(tree(files, rest, url.searchParams.get('recursive') === 'true'));
  if (repository.gatedFor !== undefined && request.headers.authorization !== `Bearer ${repository.gatedFor}`) {
    return refuse(request.headers.authorization === undefined ? 401 : 403, 'GatedRepo');
  }
  const content = files.get(rest);
  if (content === undefined) return refuse(404, 'EntryNotFound');
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const from = Number(range?.[1] ?? 0);
  const to = range?.[2] ? Math.min(Number(range[2]) + 1, content.length) : content.length;
  response.writeHead(range === null ? 200 : 206, {
    etag: `"${treeEntry([rest, content]).oid}"`,
    'x-repo-commit': commit,
    'content-length': to - from,
    ...(range !== null && { 'content-range': `bytes ${from}-${to - 1}/${content.length}` }),
  });
  const record = { file: rest, from, bytes: 0 };
  if (request.headers.range !== 'bytes=0-0') hub.served.push(record);
  for (let at = from; at < to; at += CHUNK_BYTES) {
    const trouble = await hub.trouble?.(rest, at - from);
    if (trouble === 'cut') return void response.destroy();
    const chunk = Buffer.from(content.subarray(at, Math.min(at + CHUNK_BYTES, to)));
    if (trouble === 'corrupt') chunk[0]! ^= 1;
    record.bytes += chunk.length;
    await new Promise<void>((resolve) => response.write(chunk, () => resolve()));
  }
  response.end();
}

/** As the hub lists a folder: its files, and the folders in it. */
function tree(files: Map<string, Buffer>, folder: string, isRecursive: boolean): object[] {
  if (isRecursive) return [...files].map(treeEntry);
  const within = folder === '' ? '' : `${folder}/`;
  const inside = [...files].filter(([path]) => path.startsWith(within));
  const folders = new Set([
    'onnx',
    ...inside
      .map(([path]) => path.slice(within.length))
      .filter((path) => path.includes('/'))
      .map((path) => path.split('/')[0]!),
  ]);
  return [
    ...[...folders].map((name) => ({ type: 'directory', path: within + name, size: 0, oid: '' })),
    ...inside.filter(([path]) => !path.slice(within.length).includes('/')).map(treeEntry),
  ];
}

/** As the hub lists a file. */
function treeEntry([path, content]: [string, Buffer]) {
  const oid = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  const sha256 = createHash('sha256').update(content).digest('hex');
  const large = content.length >= LARGE_BYTES && { lfs: { oid: sha256, size: content.length, pointerSize: 134 } };
  return { type: 'file', path, size: content.length, oid, ...large };
}
