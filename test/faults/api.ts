/** A client that is as patient as a person: it asks again while the service is away. */
import { setTimeout as delay } from 'node:timers/promises';
import { API_KEY } from './service.ts';

/** Longer than any outage that a row causes. */
const PATIENCE_MS = 150_000;
const REQUEST_TIMEOUT_MS = 20_000;

export interface JobObject {
  id: string;
  status: string;
  error: { code: string; message: string } | null;
  fine_tuned_model: string | null;
  result_files: string[];
}

/** The service answered, and refused. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export type Api = ReturnType<typeof connect>;

export function connect(url: string) {
  async function once(path: string, init: RequestInit): Promise<Buffer> {
    const headers = { authorization: `Bearer ${API_KEY}`, ...init.headers };
    const response = await fetch(`${url}${path}`, { ...init, headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const body = Buffer.from(await response.arrayBuffer());
    if (!response.ok) throw new Refused(response.status, `${init.method ?? 'GET'} ${path}: ${response.status} ${body.toString().slice(0, 500)}`);
    return body;
  }

  async function request(path: string, init: RequestInit = {}): Promise<Buffer> {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await once(path, init);
      } catch (error) {
        const isFinal = error instanceof Refused && error.status < 500;
        if (isFinal || Date.now() > deadline) throw error;
        await delay(200);
      }
    }
  }

  const json = async <T>(path: string, init?: RequestInit): Promise<T> => JSON.parse((await request(path, init)).toString()) as T;
  const post = <T>(path: string, body?: object, headers: Record<string, string> = {}) =>
    json<T>(path, {
      method: 'POST',
      ...(body && { body: JSON.stringify(body) }),
      headers: { ...(body && { 'content-type': 'application/json' }), ...headers },
    });

  return {
    request,
    json,
    post,
    /** Waits until a worker has announced the model. */
    async model(id: string): Promise<void> {
      const deadline = Date.now() + PATIENCE_MS;
      while (!(await json<{ data: { id: string }[] }>('/models')).data.some((model) => model.id === id)) {
        if (Date.now() > deadline) throw new Error(`no worker has announced the model "${id}"`);
        await delay(200);
      }
    },
    job: (id: string) => json<JobObject>(`/fine_tuning/jobs/${id}`),
    async upload(content: string): Promise<string> {
      const body = new FormData();
      body.set('purpose', 'fine-tune');
      body.set('file', new Blob([content]), 'examples.jsonl');
      return (await json<{ id: string }>('/files', { method: 'POST', body })).id;
    },
    /** With a key, so that an answer that is lost does not make a second job. */
    create: (body: object, key: string) => post<JobObject>('/fine_tuning/jobs', body, { 'idempotency-key': key }),
    /** Asks once. @throws Refused, or the error of the connection */
    ask: async <T>(method: string, path: string): Promise<T> => JSON.parse((await once(path, { method })).toString()) as T,
    weights: (id: string) => request(`/fine_tuning/jobs/${id}/adapter/adapter_model.safetensors`),
    content: (fileId: string) => request(`/files/${fileId}/content`),
    checkpointSteps: async (id: string) =>
      (await json<{ data: { step_number: number }[] }>(`/fine_tuning/jobs/${id}/checkpoints?limit=100`)).data.map(({ step_number }) => step_number),
    checkpointAdapter: (id: string, step: number) => request(`/fine_tuning/jobs/${id}/checkpoints/${step}/adapter`),
    delete: (path: string) => json<unknown>(path, { method: 'DELETE' }),
  };
}
