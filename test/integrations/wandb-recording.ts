/** What W&B's own client sends for a run that fails after three steps, and is resumed for two more. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pythonTool } from '../../reference/python/tool.ts';
import { type Arrived, wandbServer } from './wandb-server.ts';

/** No real one. */
export const KEY = 'a'.repeat(40);
export const ENTITY = 'acme';
export const PROJECT = 'tuning';
export const RUN = 'by-its-own-client';
/** The first and last step of each part of the run, and its exit code. */
export const PARTS = [
  [1, 3, 1],
  [4, 5, 0],
] as const;

export async function recordOwnClient(): Promise<Arrived[]> {
  const python = await pythonTool('wandb');
  const server = await wandbServer({ key: KEY, entity: ENTITY });
  try {
    for (const part of PARTS)
      await promisify(execFile)(python, [join(import.meta.dirname, 'write_wandb_run.py'), server.url, KEY, PROJECT, RUN, ...part.map(String)]);
    return server.arrived.map(timeless);
  } finally {
    await server.stop();
  }
}

type Json = Record<string, unknown>;
export interface Upsert {
  query: string;
  variables: Json;
}
export interface StreamBody {
  files?: Record<string, { offset: number; content: string[] }>;
  complete?: boolean;
  exitcode?: number;
}

/** The request without what differs from one machine, and from one second, to another. */
export function timeless({ path, authorization, body }: Arrived): Arrived {
  const told = structuredClone(body) as Json & Partial<Upsert> & StreamBody & { uploaded?: string[] };
  const { variables, files = {}, uploaded } = told;
  for (const name of ['host', 'program']) if (variables?.[name] != null) variables[name] = '';
  if (typeof variables?.['config'] === 'string') variables['config'] = withoutTimes(variables['config']);
  for (const names of [variables?.['files'], uploaded]) if (Array.isArray(names)) names.sort();
  for (const file of Object.values(files)) file.content = file.content.map(withoutTimes);
  return { path, authorization, body: told };
}

/** JSON with its keys in order, without what the client tells of itself. */
function withoutTimes(text: string): string {
  const { _wandb, ...value } = JSON.parse(text) as Json;
  for (const name of ['_runtime', '_timestamp']) if (typeof value[name] === 'number') value[name] = 0;
  return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** A run's life from the request that makes or resumes it to the one that ends it. */
export interface Part {
  upserts: Upsert[];
  /** By their numbers. */
  history: [number, string][];
  summary: string | undefined;
  exitcode: number | null;
  /** Where the stream went. */
  paths: string[];
}

/** What the requests say together: how they are spread over requests depends on the clock. */
export function partsOf(requests: readonly Arrived[]): Part[] {
  const parts: Part[] = [];
  const begun = (): Part => {
    if (parts.at(-1)?.exitcode === null) return parts.at(-1)!;
    parts.push({ upserts: [], history: [], summary: undefined, exitcode: null, paths: [] });
    return parts.at(-1)!;
  };
  for (const { path, body } of requests) {
    if (String(body['query']).includes('upsertBucket')) begun().upserts.push(body as unknown as Upsert);
    if (!path.endsWith('/file_stream')) continue;
    const part = begun();
    const { files = {}, complete, exitcode } = body as StreamBody;
    const { 'wandb-history.jsonl': history, 'wandb-summary.json': summary } = files;
    part.history.push(...(history?.content ?? []).map((line, index): [number, string] => [history!.offset + index, line]));
    part.summary = summary?.content.at(-1) ?? part.summary;
    part.exitcode = complete === true ? exitcode! : null;
    if (!part.paths.includes(path)) part.paths.push(path);
  }
  return parts;
}
