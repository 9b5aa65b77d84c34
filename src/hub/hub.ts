/** The Hugging Face hub, or a mirror that speaks its protocol. */
import { downloadFile, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import type { HubConfig } from '../config.ts';
import { ADDITIONAL_TEMPLATES_DIR, CONFIG_FILE, MAX_JSON_BYTES } from '../formats/model-files.ts';
import { parseModelConfig } from '../formats/parse-model-config.ts';
import { Refusal } from '../formats/refusal.ts';
import { cut, shown } from '../formats/shown.ts';
import { openHubFetch } from './hub-fetch.ts';
import { type HubFile, indexToRead, neededFiles, shardsInIndex } from './hub-files.ts';
import type { HubName } from './hub-name.ts';
import { type HubPush, openHubPush, type Pushed } from './hub-push.ts';
import { hubUnreachable } from './hub-refusal.ts';

/** Longest that a request to create a job waits for the hub. */
const DESCRIBE_TIMEOUT_MS = 20_000;
/** Files and folders that are read of a listing; a repository with the weights of every step has a few thousand. */
const MAX_LISTED = 20_000;
const COMMIT = /^[0-9a-f]{40}$/;

/** A model on the hub, at one commit. */
export interface HubModel {
  /** `org/name` */
  name: string;
  commit: string;
  /** `model_type` of its config.json, one that the engine supports. */
  family: string;
  /** Its config.json, one that the engine can read. */
  config: Record<string, unknown>;
  /** As counted by the hub; null if it does not report them. */
  parameters: number | null;
  /** The files that a job needs. */
  files: HubFile[];
  /** Total size of `files`. */
  sizeBytes: number;
  lastModified: Date;
}

export interface Hub {
  /** Whether a model may be downloaded. */
  allows(name: string): boolean;
  /** Whether users may push to a repository with the operator's token. */
  allowsPush(name: string): boolean;
  /** @throws Refusal if the hub refuses; the signal's reason */
  push(push: HubPush): Promise<Pushed>;
  /**
   * Finds out what a job would download, without reading any weights.
   * @throws Refusal model_not_found, revision_not_found, model_gated, model_incomplete, model_hub_unreachable, unsupported_architecture
   */
  describe(model: HubName): Promise<HubModel>;
  /**
   * @param options.from  offset of the first byte to read
   * @throws Refusal if the hub refuses; the stream fails if the connection breaks
   */
  read(model: Pick<HubModel, 'name' | 'commit'>, file: string, options: { from: number; signal: AbortSignal }): Promise<ReadableStream<Uint8Array>>;
}

export function openHub(config: HubConfig): Hub {
  const { endpoint, token, allowed, pushAllowed } = config;
  const credentials = { hubUrl: endpoint, ...(token !== null && { accessToken: token }) };
  const fetchFor = openHubFetch(config);

  async function open(model: Pick<HubModel, 'name' | 'commit'>, file: string, options: { signal: AbortSignal; maxBytes: number }): Promise<Blob> {
    const { name, commit } = model;
    const request = { repo: { type: 'model', name } as const, revision: commit, path: file };
    const isWhole = options.maxBytes < Number.POSITIVE_INFINITY; // then by plain HTTP, whose bytes are counted
    const blob = await downloadFile({ ...credentials, ...request, xet: !isWhole, fetch: fetchFor({ model: name, ...options }) });
    if (blob === null) throw new Refusal('model_incomplete', `The repository "${name}" lacks ${file}`, { param: 'model' });
    return blob;
  }

  async function readJson(model: Pick<HubModel, 'name' | 'commit'>, file: HubFile, signal: AbortSignal): Promise<unknown> {
    if (file.sizeBytes > MAX_JSON_BYTES)
      throw new Refusal('model_incomplete', `The ${file.name} of "${model.name}" has ${file.sizeBytes} bytes; the limit is ${MAX_JSON_BYTES}`);
    const text = await (await open(model, file.name, { signal, maxBytes: MAX_JSON_BYTES })).text();
    try {
      return JSON.parse(text);
    } catch {
      throw new Refusal('model_incomplete', `The ${file.name} of "${model.name}" is not JSON`, { param: 'model' });
    }
  }

  return {
    allows: (name) => isAmong(name, allowed),
    allowsPush: (name) => token !== null && isAmong(name, pushAllowed),
    push: openHubPush(config),

    async describe({ name, revision }) {
      const signal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
      const request = { ...credentials, fetch: fetchFor({ model: name, signal, maxBytes: MAX_JSON_BYTES }) };
      try {
        const info = await modelInfo({ ...request, name, revision: revision ?? 'main', additionalFields: ['sha', 'safetensors'] });
        const commit = String(info.sha);
        if (!COMMIT.test(commit)) throw new Error(`it reports the commit "${cut(commit)}"`);
        const listed: HubFile[] = [];
        const folders: string[] = [];
        const list = async (path?: string): Promise<void> => {
          for await (const entry of listFiles({ ...request, repo: { type: 'model', name }, revision: commit, ...(path && { path }) })) {
            if (listed.length + folders.length >= MAX_LISTED) throw new Error(`it lists more than ${MAX_LISTED} files of "${name}"`);
            if (entry.type === 'file') listed.push(listedFile(entry));
            else folders.push(entry.path);
          }
        };
        await list();
        if (folders.includes(ADDITIONAL_TEMPLATES_DIR)) await list(ADDITIONAL_TEMPLATES_DIR);
        const at = { name, commit };
        const index = indexToRead(listed);
        const files = neededFiles(name, listed, index && shardsInIndex(name, await readJson(at, index, signal)));
        const config = checkedConfig(name, await readJson(at, files.find((file) => file.name === CONFIG_FILE)!, signal));
        const total = (info.safetensors as { total?: number } | undefined)?.total;
        const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
        const parameters = Number.isSafeInteger(total) ? total! : null;
        return { name, commit, family: config.model_type, config, parameters, files, sizeBytes, lastModified: info.updatedAt };
      } catch (error) {
        throw error instanceof Refusal ? error : hubUnreachable(endpoint, error);
      }
    },

    async read(model, file, { from, signal }) {
      const blob = await open(model, file, { signal, maxBytes: Number.POSITIVE_INFINITY });
      return blob.slice(from, blob.size).stream();
    },
  };
}

/** @param patterns `org/name`, `org/*`, or `*` */
const isAmong = (name: string, patterns: readonly string[]): boolean =>
  patterns.some((pattern) => pattern === '*' || pattern === name || (pattern.endsWith('/*') && name.startsWith(pattern.slice(0, -1))));

/** @throws Error for a file that cannot be as it is listed */
function listedFile({ path, size, oid = '', lfs }: ListFileEntry): HubFile {
  const file: HubFile = {
    name: path,
    sizeBytes: lfs?.size ?? size,
    digest: lfs ? { kind: 'sha256', hex: lfs.oid } : { kind: 'git-sha1', hex: oid },
  };
  if (typeof path === 'string' && Number.isSafeInteger(file.sizeBytes) && file.sizeBytes >= 0) return file;
  throw new Error(`it lists ${shown(path)} with ${shown(file.sizeBytes)} bytes`);
}

/** @throws Refusal as the engine would, before anything is downloaded */
function checkedConfig(model: string, config: unknown): Record<string, unknown> & { model_type: string } {
  parseModelConfig(config, `The config.json of ${model}`);
  return config as Record<string, unknown> & { model_type: string };
}
