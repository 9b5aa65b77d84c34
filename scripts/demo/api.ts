/** The HTTP API calls that the demo makes, with plain fetch. */

export interface Job {
  id: string;
  status: 'validating_files' | 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';
  fine_tuned_model: string | null;
  estimated_finish: number | null;
  trained_tokens: number | null;
  error: { code: string; message: string; param: string | null } | null;
}

export const hasEnded = ({ status }: Job): boolean => status === 'succeeded' || status === 'failed' || status === 'cancelled';

export interface JobEvent {
  id: string;
  type: 'message' | 'metrics';
  level: string;
  message: string;
  data: { step?: number; total_steps?: number; train_loss?: number; valid_loss?: number | null; full_valid_loss?: number | null } | null;
}

export interface Api {
  upload(filename: string, text: string): Promise<{ id: string }>;
  createJob(body: Record<string, unknown>): Promise<Job>;
  job(id: string): Promise<Job>;
  /** Jobs that have not ended, which an interrupted demo left. */
  unfinishedJobs(): Promise<Job[]>;
  cancel(jobId: string): Promise<Job>;
  /** Newest first. */
  events(jobId: string, limit: number): Promise<JobEvent[]>;
  /** Losses in nats a token. */
  analysis(jobId: string): Promise<{ forgetting: { before: number; after: number } | null }>;
  /** A tar of the adapter's directory. */
  adapter(jobId: string): Promise<Uint8Array>;
}

/** @throws Error with the service's response when a call is refused */
export function connect(url: string, key: string): Api {
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const response = await fetch(`${url}/v1${path}`, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });
    if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path} failed with status ${response.status}: ${await response.text()}`);
    return response;
  };
  const json = async <T>(path: string, init?: RequestInit): Promise<T> => (await call(path, init)).json() as Promise<T>;
  return {
    upload: (filename, text) => {
      const form = new FormData();
      form.set('purpose', 'fine-tune');
      form.set('file', new Blob([text]), filename);
      return json('/files', { method: 'POST', body: form });
    },
    createJob: (body) => json('/fine_tuning/jobs', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    unfinishedJobs: async () => (await json<{ data: Job[] }>('/fine_tuning/jobs?limit=100')).data.filter((job) => !hasEnded(job)),
    cancel: (jobId) => json(`/fine_tuning/jobs/${jobId}/cancel`, { method: 'POST' }),
    job: (id) => json(`/fine_tuning/jobs/${id}`),
    events: async (jobId, limit) => (await json<{ data: JobEvent[] }>(`/fine_tuning/jobs/${jobId}/events?limit=${limit}`)).data,
    analysis: (jobId) => json(`/fine_tuning/jobs/${jobId}/analysis`),
    adapter: async (jobId) => new Uint8Array(await (await call(`/fine_tuning/jobs/${jobId}/adapter`)).arrayBuffer()),
  };
}
