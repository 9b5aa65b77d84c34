/** What is needed of MLflow's REST API (2.0), which every version since 1.0 has. */
import { answerOf, TrackerRefusal } from './answer.ts';
import type { IntegrationsConfig } from './config.ts';

/** Most of each in one request. */
export const BATCH = { metrics: 1_000, params: 100 } as const;
/** What the server takes. */
const MAX_PARAM_LENGTH = 6_000;
const MAX_TAG_LENGTH = 5_000;

export type RunStatus = 'RUNNING' | 'FINISHED' | 'FAILED' | 'KILLED';
export interface MlflowMetric {
  key: string;
  value: number;
  /** Milliseconds since 1970. */
  timestamp: number;
  step: number;
}

export function openMlflow({ trackingUri, authorization }: NonNullable<IntegrationsConfig['mlflow']>) {
  async function ask<T>(method: 'GET' | 'POST', path: string, body: object): Promise<T> {
    const url = new URL(`${trackingUri}/api/2.0/mlflow/${path}`);
    if (method === 'GET') for (const [name, value] of Object.entries(body)) url.searchParams.set(name, String(value));
    return answerOf<T>(url, { method, authorization, ...(method === 'POST' && { body }), refusals: [400, 404], server: 'MLflow' });
  }

  async function findExperiment(name: string): Promise<string | null> {
    try {
      const { experiment } = await ask<{ experiment: { experiment_id: string } }>('GET', 'experiments/get-by-name', { experiment_name: name });
      return experiment.experiment_id;
    } catch (error) {
      if (error instanceof TrackerRefusal && error.code === 'RESOURCE_DOES_NOT_EXIST') return null;
      throw error;
    }
  }

  return {
    /** Finds the experiment of this name, or creates it. @returns its id */
    async experiment(name: string): Promise<string> {
      const found = await findExperiment(name);
      if (found !== null) return found;
      try {
        return (await ask<{ experiment_id: string }>('POST', 'experiments/create', { name })).experiment_id;
      } catch (error) {
        const made = error instanceof TrackerRefusal && error.code === 'RESOURCE_ALREADY_EXISTS' ? await findExperiment(name) : null;
        if (made === null) throw error;
        return made;
      }
    },

    /** @param tag its value must not contain quotation marks. @returns the id of the run with this tag, or null */
    async findRun(experimentId: string, { key, value }: { key: string; value: string }): Promise<string | null> {
      const query = { experiment_ids: [experimentId], filter: `tags.\`${key}\` = '${value}'`, max_results: 1 };
      const { runs = [] } = await ask<{ runs?: { info: { run_id: string } }[] }>('POST', 'runs/search', query);
      return runs[0]?.info.run_id ?? null;
    },

    async createRun(experimentId: string, { name, startMs, tags }: { name: string; startMs: number; tags: Record<string, string> }): Promise<string> {
      const body = { experiment_id: experimentId, run_name: name, start_time: startMs, tags: pairs(tags, MAX_TAG_LENGTH) };
      return (await ask<{ run: { info: { run_id: string } } }>('POST', 'runs/create', body)).run.info.run_id;
    },

    /** A value that the server has already is not stored twice. */
    async log(runId: string, { metrics = [], params = {}, tags = {} }: Logged): Promise<void> {
      const allParams = pairs(params, MAX_PARAM_LENGTH);
      const rounds = Math.max(1, Math.ceil(metrics.length / BATCH.metrics), Math.ceil(allParams.length / BATCH.params));
      const part = <T>(all: readonly T[], round: number, size: number): T[] => all.slice(round * size, (round + 1) * size);
      for (let round = 0; round < rounds; round++) {
        await ask('POST', 'runs/log-batch', {
          run_id: runId,
          metrics: part(metrics, round, BATCH.metrics),
          params: part(allParams, round, BATCH.params),
          tags: round === 0 ? pairs(tags, MAX_TAG_LENGTH) : [],
        });
      }
    },

    /** @param endMs null: as it was */
    async updateRun(runId: string, { status, endMs }: { status: RunStatus; endMs: number | null }): Promise<void> {
      await ask('POST', 'runs/update', { run_id: runId, status, ...(endMs !== null && { end_time: endMs }) });
    },
  };
}

interface Logged {
  metrics?: readonly MlflowMetric[];
  params?: Record<string, string>;
  tags?: Record<string, string>;
}

const pairs = (values: Record<string, string>, length: number) =>
  Object.entries(values).map(([key, value]) => ({ key, value: value.slice(0, length) }));
