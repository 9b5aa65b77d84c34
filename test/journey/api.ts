import { unpackTar } from '../unpack-tar.ts';
import { JOURNEY_KEY, until } from './service.ts';

export interface JobObject {
  id: string;
  status: string;
  error: { code: string; message: string; param: string | null } | null;
  fine_tuned_model: string | null;
  result_files: string[];
  trained_tokens: number | null;
  finished_at: number | null;
  hyperparameters: Record<string, number | string>;
}

interface ListOf<T> {
  data: T[];
  has_more: boolean;
}

export interface EventObject {
  level: string;
  type: string;
  message: string;
  data: Record<string, number> | null;
}

export interface CheckpointObject {
  step_number: number;
  fine_tuned_model_checkpoint: string;
  metrics: Record<string, number>;
}

const FINAL_STATUSES = ['succeeded', 'failed', 'cancelled'];

/** A client of the service that uses nothing but fetch. */
export function connect(url: string) {
  const request = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${url}${path}`, { ...init, headers: { authorization: `Bearer ${JOURNEY_KEY}`, ...init.headers } });
    if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const json = async <T>(path: string, init?: RequestInit) => (await (await request(path, init)).json()) as T;
  const post = <T>(path: string, body: object) =>
    json<T>(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const job = (id: string) => json<JobObject>(`/fine_tuning/jobs/${id}`);
  const checkpoints = async (id: string) => (await json<ListOf<CheckpointObject>>(`/fine_tuning/jobs/${id}/checkpoints?limit=100`)).data;

  return {
    /** Of any path after `/v1`. */
    get: <T>(path: string) => json<T>(path),
    post,
    job,
    checkpoints,
    async upload(content: string | Uint8Array<ArrayBuffer>): Promise<string> {
      const body = new FormData();
      body.set('purpose', 'fine-tune');
      body.set('file', new Blob([content]), 'examples.jsonl');
      return (await json<{ id: string }>('/files', { method: 'POST', body })).id;
    },
    create: (body: object) => post<JobObject>('/fine_tuning/jobs', body),
    /** The error of a job that is refused when it is created. */
    async refused(body: object): Promise<JobObject['error']> {
      const headers = { authorization: `Bearer ${JOURNEY_KEY}`, 'content-type': 'application/json' };
      const response = await fetch(`${url}/fine_tuning/jobs`, { method: 'POST', headers, body: JSON.stringify(body) });
      if (response.status !== 400) throw new Error(`the job was not refused: ${response.status}`);
      return ((await response.json()) as { error: JobObject['error'] }).error;
    },
    cancel: (id: string) => json<JobObject>(`/fine_tuning/jobs/${id}/cancel`, { method: 'POST' }),
    pause: (id: string) => json<JobObject>(`/fine_tuning/jobs/${id}/pause`, { method: 'POST' }),
    resume: (id: string) => json<JobObject>(`/fine_tuning/jobs/${id}/resume`, { method: 'POST' }),
    jobs: async () => (await json<ListOf<JobObject>>('/fine_tuning/jobs')).data,
    models: async () => (await json<ListOf<{ id: string }>>('/models')).data,
    modelObject: (id: string) => json<Record<string, unknown>>(`/models/${encodeURIComponent(id)}`),
    /** Oldest first. */
    async events(id: string) {
      return (await json<ListOf<EventObject>>(`/fine_tuning/jobs/${id}/events?limit=100`)).data.reverse();
    },
    over: (id: string) =>
      until(`the end of ${id}`, async () => {
        const found = await job(id);
        return FINAL_STATUSES.includes(found.status) && found;
      }),
    checkpoint: (id: string) => until(`a checkpoint of ${id}`, async () => (await checkpoints(id))[0]),
    model: (id: string) =>
      until(`the model ${id}`, async () => (await json<ListOf<{ id: string }>>('/models')).data.find((model) => model.id === id)),
    /** `receipt`, `proof` or `lineage` */
    report: <T>(id: string, kind: string) => json<T>(`/fine_tuning/jobs/${id}/${kind}`),
    file: (id: string) => json<{ filename: string; bytes: number; purpose: string; status: string }>(`/files/${id}`),
    content: async (id: string) => Buffer.from(await (await request(`/files/${id}/content`)).arrayBuffer()),
    /** The unpacked tar of the adapter, or of a checkpoint's: name → bytes. */
    async adapter(id: string, step?: number): Promise<Map<string, Buffer>> {
      const answer = await request(`/fine_tuning/jobs/${id}${step === undefined ? '' : `/checkpoints/${step}`}/adapter`);
      return unpackTar(Buffer.from(await answer.arrayBuffer()));
    },
  };
}

export type Api = ReturnType<typeof connect>;
