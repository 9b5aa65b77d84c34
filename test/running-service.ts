import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import OpenAI from 'openai';
import { buildApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import type { ErrorBody } from '../src/http/statuses.ts';
import { ANNOUNCE_EVERY_MS } from '../src/models/store.ts';
import { openServices, type Services } from '../src/services.ts';

export const API_KEY = 'graft-test-key';

export interface RunningService {
  services: Services;
  app: FastifyInstance;
  address: string;
  client: OpenAI;
  worker: StandInWorker;
  /** A request with the key in it. */
  inject(options: InjectOptions): Promise<LightMyRequestResponse>;
  /** POSTs JSON. */
  post(url: string, body: unknown): Promise<LightMyRequestResponse>;
  /** Uploads a small dataset. @returns its id */
  upload(content?: string): Promise<string>;
  close(): Promise<void>;
}

/** The whole service on embedded servers of its own, listening, with a worker that has announced `graft-tiny` and does nothing. */
export async function runService(): Promise<RunningService> {
  const dataDir = await mkdtemp(join(tmpdir(), 'graft-test-'));
  const services = await openServices(readConfig({ DATA_DIR: dataDir, WORKERS: '0', LOG_LEVEL: 'silent' }));
  const worker = standInWorker(services);
  await worker.announce();
  const app = await buildApp(services, { apiKey: API_KEY });
  const address = await app.listen({ host: '127.0.0.1', port: 0 });
  const authorization = `Bearer ${API_KEY}`;
  const inject = (options: InjectOptions) => app.inject({ ...options, headers: { authorization, ...options.headers } });
  const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: API_KEY, maxRetries: 0 });
  return {
    services,
    app,
    address,
    client,
    worker,
    inject,
    post: (url, body) => inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: JSON.stringify(body) }),
    async upload(content = '{"prompt":"a","completion":"b"}\n') {
      const file = await client.files.create({ file: new File([content], 'train.jsonl'), purpose: 'fine-tune' });
      return file.id;
    },
    async close() {
      await worker.remove();
      await app.close();
      await services.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

interface StandInWorker {
  /** There from now on: its heart beats as a worker's does, however slow the machine. */
  announce(): Promise<void>;
  remove(): Promise<void>;
}

function standInWorker({ models }: Services): StandInWorker {
  const identity = { id: 'worker-test', hostname: 'here', device: 'CPU' };
  const tiny = { id: 'graft-tiny', family: 'llama', parameters: 4_000_000, sizeBytes: 8_000_000, revision: null };
  let beat: Promise<unknown> = Promise.resolve();
  let beating: NodeJS.Timeout | undefined;
  return {
    async announce() {
      await models.announce(identity, [tiny]);
      clearInterval(beating);
      beating = setInterval(() => {
        beat = models.announce(identity, [tiny]);
      }, ANNOUNCE_EVERY_MS);
    },
    async remove() {
      clearInterval(beating);
      await beat;
      await models.removeWorker(identity.id);
    },
  };
}

/** The status and the error of a refusal, checked for its four keys. */
export function refusal(response: LightMyRequestResponse): ErrorBody['error'] & { status: number } {
  const { error } = response.json<ErrorBody>();
  if (Object.keys(error).sort().join() !== 'code,message,param,type') throw new Error(`not the contract's error: ${response.body}`);
  return { status: response.statusCode, ...error };
}
