/** The part of the hub's protocol by which repositories are written: creation, branches, preupload, Git LFS (whole or in parts), commits. */
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { sha256 } from '../sha256.ts';
import { LARGE_BYTES, type Repository } from './repository.ts';

/** Larger files go in parts. */
const PART_BYTES = 1_000_000;

export interface Pushes {
  repositories: Map<string, Repository>;
  /** Tokens that may write, and the namespace of each. */
  writers: Map<string, string>;
  /** SHA-256 → content of files in Git LFS. */
  lfs: Map<string, Buffer>;
  /** Method and path of every request, in order. */
  requests: string[];
  /** Called before a request is answered; returns a status to refuse it with. */
  refusing: ((request: string) => number | undefined | Promise<number | undefined>) | null;
}

const parts = new Map<string, Buffer[]>();
let commits = 0;

/** @returns false for a request that is not one of a push */
export async function answerPush(hub: Pushes, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
  const path = decodeURIComponent(new URL(request.url!, 'http://hub').pathname);
  const body = await buffer(request);
  const json = (): Record<string, never> & { [name: string]: unknown } => JSON.parse(body.toString());
  const answer = (value: unknown, status = 200, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    return true;
  };
  const name = `${request.method} ${path}`;
  hub.requests.push(name);
  const refused = await hub.refusing?.(name);
  if (refused !== undefined) return answer({ error: `refused with ${refused}` }, refused, refused === 429 ? { 'retry-after': '0' } : {});
  if (path.startsWith('/storage/')) {
    const [, , oid, part] = path.split('/') as [string, string, string, string | undefined];
    if (part === 'complete') {
      const { parts: listed } = json() as unknown as { parts: { etag: string; partNumber: number }[] };
      const held = parts.get(oid)!;
      if (listed.some(({ etag, partNumber }) => etag !== etagOf(held[partNumber - 1]!))) return answer({ error: 'wrong parts' }, 400);
      return store(Buffer.concat(held));
    }
    if (request.headers.authorization !== undefined) return answer({ error: 'a token was sent to the storage' }, 400);
    if (Number(request.headers['content-length']) !== body.length) return answer({ error: 'wrong length' }, 400);
    if (part === undefined) return store(body);
    parts.get(oid)![Number(part) - 1] = body;
    return answer({}, 200, { etag: etagOf(body) });
    function store(content: Buffer): boolean {
      if (sha256(content) !== oid) return answer({ error: 'wrong content' }, 400);
      hub.lfs.set(oid, content);
      return answer({});
    }
  }
  const namespace = hub.writers.get(request.headers.authorization?.replace('Bearer ', '') ?? '');
  if (namespace === undefined) return answer({ error: 'Invalid credentials in Authorization header' }, 401);
  const mayWrite = (repo: string) => repo.startsWith(`${namespace}/`);
  const forbidden = () => answer({ error: `You don't have the rights to write under this namespace` }, 403);

  if (path === '/api/repos/create') {
    const { name: repo, organization, visibility } = json() as unknown as Record<string, string>;
    const id = `${organization}/${repo}`;
    if (!mayWrite(id)) return forbidden();
    if (hub.repositories.has(id)) return answer({ error: 'You already created this model repo' }, 409);
    const first = newCommit();
    hub.repositories.set(id, {
      commits: new Map([[first, new Map([['.gitattributes', Buffer.from('*.safetensors filter=lfs\n')]])]]),
      refs: new Map([['main', first]]),
      isPrivate: visibility === 'private',
    });
    return answer({ url: `http://hub/${id}`, id, name: id });
  }
  const lfs = /^\/([^/]+\/[^/]+)\.git\/info\/lfs\/objects\/batch$/.exec(path);
  const [, repo = lfs?.[1] ?? '', kind, revision = ''] =
    /^\/api\/models\/([^/]+\/[^/]+)\/(branch|preupload|commit)\/([^/]+)$/.exec(path) ?? ([] as (string | undefined)[]);
  const repository = hub.repositories.get(repo);
  if (repository === undefined) return answer({ error: 'Repository not found' }, 404, { 'x-error-code': 'RepoNotFound' });
  if (!mayWrite(repo)) return forbidden();
  if (lfs !== null) {
    const { objects } = json() as unknown as { objects: { oid: string; size: number }[] };
    const url = `http://${request.headers.host}/storage`;
    const upload = ({ oid, size }: { oid: string; size: number }) => {
      if (size <= PART_BYTES) return { href: `${url}/${oid}` };
      const numbers = Array.from({ length: Math.ceil(size / PART_BYTES) }, (_, index) => index + 1);
      parts.set(oid, []);
      const header = {
        chunk_size: String(PART_BYTES),
        ...Object.fromEntries(numbers.map((n) => [String(n).padStart(5, '0'), `${url}/${oid}/${n}`])),
      };
      return { href: `${url}/${oid}/complete`, header };
    };
    return answer({
      transfer: 'basic',
      objects: objects.map((one) => ({ ...one, ...(!hub.lfs.has(one.oid) && { actions: { upload: upload(one) } }) })),
    });
  }
  if (kind === 'branch') {
    if (!repository.refs.has(revision)) repository.refs.set(revision, repository.refs.get('main')!);
    return answer({});
  }
  const files = repository.commits.get(repository.refs.get(revision) ?? '');
  if (files === undefined) return answer({ error: 'Invalid rev id' }, 404, { 'x-error-code': 'RevisionNotFound' });
  if (kind === 'preupload') {
    const { files: asked } = json() as unknown as { files: { path: string; size: number }[] };
    return answer({ files: asked.map(({ path: file, size }) => ({ path: file, uploadMode: size >= LARGE_BYTES ? 'lfs' : 'regular' })) });
  }
  const next = new Map(files);
  for (const line of body.toString().split('\n')) {
    const { key, value } = JSON.parse(line) as { key: string; value: { path: string; content: string; oid: string; size: number } };
    if (key === 'file') next.set(value.path, Buffer.from(value.content, 'base64'));
    if (key !== 'lfsFile') continue;
    const content = hub.lfs.get(value.oid);
    if (content?.length !== value.size) return answer({ error: `The LFS object of ${value.path} is not there` }, 400);
    next.set(value.path, content);
  }
  const oid = newCommit();
  repository.commits.set(oid, next);
  repository.refs.set(revision, oid);
  return answer({ success: true, commitOid: oid, commitUrl: `http://hub/${repo}/commit/${oid}`, hookOutput: '' });
}

const newCommit = (): string => createHash('sha1').update(String(++commits)).digest('hex');
const etagOf = (bytes: Buffer): string => `"${createHash('md5').update(bytes).digest('hex')}"`;
