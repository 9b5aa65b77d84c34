import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import OpenAI from 'openai';
import { buildApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import type { ErrorBody } from '../src/http/statuses.ts';
import { ANNOUNCE_EVERY_MS, type AnnouncedModel, type WorkerIdentity } from '../src/models/store.ts';
import { openServices, type Services } from '../src/services.ts';
import { copyTemplate } from './database-template.ts';

export const API_KEY = 'graft-test-key';

export interface RunningService {
  services: Services;
  app: FastifyInstance;
  address: string;
  client: OpenAI;
  worker: FakeWorker;
  /** Sends a request with the API key. */
  inject(options: InjectOptions): Promise<LightMyRequestResponse>;
  /** POSTs JSON. */
  post(url: string, body: unknown): Promise<LightMyRequestResponse>;
  /** Uploads a small dataset. @returns its id */
  upload(content?: string): Promise<string>;
  close(): Promise<void>;
}

/** Starts the whole service on its own embedded servers, with a worker that announces `graft-tiny` and does nothing. @param settings further variables of the environment */
export async function runService(settings: Record<string, string> = {}): Promise<RunningService> {
  const dataDir = await mkdtemp(join(tmpdir(), 'graft-test-'));
  if (settings['DATABASE_URL'] === undefined) await copyTemplate(dataDir);
  const services = await openServices(readConfig({ DATA_DIR: dataDir, WORKERS: '0', LOG_LEVEL: 'silent', ...settings }));
  const tiny = { id: 'graft-tiny', family: 'llama', parameters: 4_000_000, sizeBytes: 8_000_000, revision: null };
  const worker = fakeWorker(services, { id: 'worker-test', hostname: 'here', device: 'CPU' }, [tiny]);
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

export interface FakeWorker {
  /** Announces the worker and keeps up its heartbeat, however slow the machine is. */
  announce(): Promise<void>;
  remove(): Promise<void>;
}

/** @param offered the models that it announces */
export function fakeWorker({ models }: Services, identity: WorkerIdentity, offered: AnnouncedModel[]): FakeWorker {
  let heartbeat: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  return {
    async announce() {
      await models.announce(identity, offered);
      clearInterval(timer);
      timer = setInterval(() => {
        heartbeat = models.announce(identity, offered);
      }, ANNOUNCE_EVERY_MS);
    },
    async remove() {
      clearInterval(timer);
      await heartbeat;
      await models.removeWorker(identity.id);
    },
  };
}

/** The status and error of a refused request, after checking that the error has its four keys. */
export function refusal(response: LightMyRequestResponse): ErrorBody['error'] & { status: number } {
  const { error } = response.json<ErrorBody>();
  if (Object.keys(error).sort().join() !== 'code,message,param,type') throw new Error(`not the contract's error: ${response.body}`);
  return { status: response.statusCode, ...error };
}
