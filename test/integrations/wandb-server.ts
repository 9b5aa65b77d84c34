import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';

export interface WandbRunAsStored {
  displayName: string | null;
  notes: string | null;
  tags: string[];
  config: Record<string, { value: unknown }>;
  /** Lines of history. */
  history: Record<string, unknown>[];
  summary: Record<string, unknown>;
  exitcode: number | null;
}

/** A request to the interface for writing, as it arrived. */
export interface Arrived {
  path: string;
  authorization: string | undefined;
  body: Record<string, unknown>;
}

interface Stream {
  files?: Record<string, { offset: number; content: string[] }>;
  complete?: boolean;
  exitcode?: number;
}

/**
 * Stands in for W&B's server, which cannot be run in a test. It has the part of the interface that W&B's own client writes runs with, and is strict.
 * A request with another key, to an unknown run or to one that has ended, or with a gap in its history is refused.
 */
export async function wandbServer({ key, entity, port = 0 }: { key: string; entity: string; port?: number }) {
  const runs = new Map<string, WandbRunAsStored>();
  const arrived: Arrived[] = [];
  const authorization = `Basic ${Buffer.from(`api:${key}`).toString('base64')}`;

  function upsert(variables: Record<string, string | string[] | null | undefined>) {
    const { name, project, entity: owner, displayName, notes, tags, config } = variables;
    const path = `${owner ?? entity}/${project}/${name}`;
    const known = runs.get(path);
    const run = known ?? { displayName: null, notes: null, tags: [], config: {}, history: [], summary: {}, exitcode: null };
    runs.set(path, run);
    Object.assign(run, { ...(displayName && { displayName }), ...(notes && { notes }), ...(tags && { tags }), exitcode: null });
    if (typeof config === 'string') Object.assign(run.config, JSON.parse(config));
    const bucket = {
      ...{ id: path, name, displayName: run.displayName, description: null, config: JSON.stringify(run.config), sweepName: null },
      ...{ project: { id: '1', name: project, entity: { id: '2', name: owner ?? entity } }, historyLineCount: run.history.length },
    };
    return { upsertBucket: { bucket, inserted: known === undefined } };
  }

  function resumeStatus({ name, project, entity: owner }: Record<string, string | null>) {
    const run = runs.get(`${owner ?? entity}/${project}/${name}`);
    if (run === undefined) return { model: null };
    const bucket = {
      ...{ id: '5', name, displayName: run.displayName, tags: run.tags, notes: run.notes, config: JSON.stringify(run.config), wandbConfig: null },
      ...{ historyLineCount: run.history.length, logLineCount: 0, eventsLineCount: 0, eventsTail: '[]' },
      ...{ historyTail: JSON.stringify(run.history.slice(-1).map((line) => JSON.stringify(line))), summaryMetrics: JSON.stringify(run.summary) },
    };
    return { model: { id: '1', name: project, entity: { id: '2', name: owner ?? entity }, bucket } };
  }

  function graphql({ query, variables }: { query: string; variables: Record<string, never> }, origin: string) {
    if (query.includes('upsertBucket')) return upsert(variables);
    if (query.includes('RunResumeStatus')) return resumeStatus(variables);
    if (query.includes('viewer')) return { viewer: { id: '3', entity, username: entity, email: '', flags: '{}', teams: { edges: [] } } };
    if (query.includes('createRunFiles')) {
      const files = (variables as unknown as { files: string[] }).files.map((name) => ({ name, uploadUrl: `${origin}/upload/${name}` }));
      return { createRunFiles: { runID: '4', uploadHeaders: [], files } };
    }
    return {};
  }

  /** @returns why it is refused, or null */
  function stream(path: string, { files = {}, complete, exitcode }: Stream): string | null {
    const run = runs.get(path);
    if (run === undefined) return `there is no run ${path}`;
    if (run.exitcode !== null) return `the run ${path} has ended, and nobody has resumed it`;
    for (const [name, { offset, content }] of Object.entries(files)) {
      if (!['wandb-history.jsonl', 'wandb-summary.json', 'output.log', 'wandb-events.jsonl'].includes(name)) return `no file ${name} can be streamed`;
      const lines = content.map((line) => JSON.parse(line) as Record<string, unknown>);
      if (name === 'wandb-summary.json') run.summary = lines.at(-1)!;
      if (name !== 'wandb-history.jsonl') continue;
      if (offset > run.history.length) return `line ${offset} would follow line ${run.history.length - 1}`;
      run.history.splice(offset, lines.length, ...lines);
    }
    if (complete === true) run.exitcode = exitcode!;
    return null;
  }

  async function answer(request: IncomingMessage, origin: string): Promise<[number, object]> {
    const raw = await buffer(request);
    if (request.method === 'PUT' || request.url!.startsWith('/sdk/otel/')) return [200, {}];
    if (request.headers.authorization !== authorization) return [401, { error: 'invalid API key' }];
    const body = JSON.parse((request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw).toString() || '{}') as never;
    arrived.push({ path: request.url!, authorization: request.headers.authorization, body });
    const owner = (body as { variables?: { entity?: string | null } }).variables?.entity ?? entity;
    if (owner !== entity) return [200, { data: { upsertBucket: null }, errors: [{ message: `the key may not write to ${owner}` }] }];
    if (request.url === '/graphql') return [200, { data: graphql(body, origin) }];
    const [, path] = /^\/files\/(.+)\/file_stream$/.exec(decodeURIComponent(request.url!)) ?? [];
    if (path === undefined) return [404, { error: `nothing is at ${request.url}` }];
    const refusal = stream(path, body);
    return refusal === null ? [200, { exitcode: null, limits: {} }] : [400, { error: refusal }];
  }

  const server = createServer((request, response) => {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    answer(request, origin).then(([status, body]) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
  });
  const start = (at: number) => new Promise<void>((resolve) => server.listen(at, '127.0.0.1', resolve));
  await start(port);
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${taken}`,
    /** By entity/project/name. */
    runs,
    arrived,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    start: () => start(taken),
  };
}
