/** The Hugging Face hub, or a mirror that speaks its protocol. */
import { downloadFile, listFiles, modelInfo } from '@huggingface/hub';
import type { HubConfig } from '../config.ts';
import { ADDITIONAL_TEMPLATES_DIR, CONFIG_FILE } from '../formats/model-files.ts';
import { parseModelConfig } from '../formats/parse-model-config.ts';
import { Refusal } from '../formats/refusal.ts';
import { type HubFile, indexToRead, neededFiles, shardsInIndex } from './hub-files.ts';
import type { HubName } from './hub-name.ts';
import { hubRefusal, hubUnreachable } from './hub-refusal.ts';

/** Longest that a request to create a job waits for the hub. */
const DESCRIBE_TIMEOUT_MS = 20_000;
/** Limit on config.json and the index of the weights, which are read whole. */
const MAX_JSON_BYTES = 16 * 1024 * 1024;
const COMMIT = /^[0-9a-f]{40}$/;

/** A model on the hub, at one commit. */
export interface HubModel {
  /** `org/name` */
  name: string;
  commit: string;
  /** `model_type` of its config.json, one that the engine supports. */
  family: string;
  /** As counted by the hub; null if it does not report them. */
  parameters: number | null;
  /** The files that a job needs. */
  files: HubFile[];
  /** Total size of `files`. */
  sizeBytes: number;
  lastModified: Date;
}

export interface Hub {
  allows(name: string): boolean;
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

export function openHub({ endpoint, token, allowed }: HubConfig): Hub {
  const credentials = { hubUrl: endpoint, ...(token !== null && { accessToken: token }) };

  /** A fetch that throws our refusals: the client's own errors lose the hub's error code. */
  const fetchFor = (model: string, signal: AbortSignal): typeof fetch => {
    return async (input, init) => {
      const response = await fetch(input, { ...init, signal }).catch((error: unknown) => {
        throw signal.aborted && signal.reason?.name !== 'TimeoutError' ? signal.reason : hubUnreachable(endpoint, error);
      });
      if (response.ok || response.headers.get('x-error-code') === 'EntryNotFound') return response;
      throw await hubRefusal(response, { model, endpoint, hasToken: token !== null });
    };
  };

  async function open({ name, commit }: Pick<HubModel, 'name' | 'commit'>, file: string, signal: AbortSignal): Promise<Blob> {
    const request = { repo: { type: 'model', name } as const, revision: commit, path: file };
    const blob = await downloadFile({ ...credentials, ...request, fetch: fetchFor(name, signal) });
    if (blob === null) throw new Refusal('model_incomplete', `The repository "${name}" lacks ${file}`, { param: 'model' });
    return blob;
  }

  async function readJson(model: Pick<HubModel, 'name' | 'commit'>, file: HubFile, signal: AbortSignal): Promise<unknown> {
    if (file.sizeBytes > MAX_JSON_BYTES)
      throw new Refusal('model_incomplete', `The ${file.name} of "${model.name}" has ${file.sizeBytes} bytes; the limit is ${MAX_JSON_BYTES}`);
    const text = await (await open(model, file.name, signal)).text();
    try {
      return JSON.parse(text);
    } catch {
      throw new Refusal('model_incomplete', `The ${file.name} of "${model.name}" is not JSON`, { param: 'model' });
    }
  }

  return {
    allows: (name) =>
      allowed.some((pattern) => pattern === '*' || pattern === name || (pattern.endsWith('/*') && name.startsWith(pattern.slice(0, -1)))),

    async describe({ name, revision }) {
      const signal = AbortSignal.timeout(DESCRIBE_TIMEOUT_MS);
      const request = { ...credentials, fetch: fetchFor(name, signal) };
      try {
        const info = await modelInfo({ ...request, name, revision: revision ?? 'main', additionalFields: ['sha', 'safetensors'] });
        const commit = String(info.sha);
        if (!COMMIT.test(commit)) throw new Error(`it reports the commit "${commit}"`);
        const listed: HubFile[] = [];
        const folders: string[] = [];
        const list = async (path?: string): Promise<void> => {
          for await (const entry of listFiles({ ...request, repo: { type: 'model', name }, revision: commit, ...(path && { path }) })) {
            const { type, path, size, oid = '', lfs } = entry;
            const digest = lfs ? ({ kind: 'sha256', hex: lfs.oid } as const) : ({ kind: 'git-sha1', hex: oid } as const);
            if (type === 'file') listed.push({ name: path, sizeBytes: lfs?.size ?? size, digest });
            else folders.push(path);
          }
        };
        await list();
        if (folders.includes(ADDITIONAL_TEMPLATES_DIR)) await list(ADDITIONAL_TEMPLATES_DIR);
        const at = { name, commit };
        const index = indexToRead(listed);
        const files = neededFiles(name, listed, index && shardsInIndex(name, await readJson(at, index, signal)));
        const { model_type: family } = checkedConfig(name, await readJson(at, files.find((file) => file.name === CONFIG_FILE)!, signal));
        const total = (info.safetensors as { total?: number } | undefined)?.total;
        const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
        return { name, commit, family, parameters: total ?? null, files, sizeBytes, lastModified: info.updatedAt };
      } catch (error) {
        throw error instanceof Refusal ? error : hubUnreachable(endpoint, error);
      }
    },

    async read(model, file, { from, signal }) {
      const blob = await open(model, file, signal);
      return blob.slice(from, blob.size).stream();
    },
  };
}

/** @throws Refusal as the engine would, before anything is downloaded */
function checkedConfig(model: string, config: unknown): { model_type: string } {
  parseModelConfig(config, `The config.json of ${model}`);
  return config as { model_type: string };
}
