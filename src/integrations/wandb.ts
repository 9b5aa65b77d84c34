/**
 * What is needed of the interface that W&B's own client writes with (wandb 0.31: `UpsertBucket` of its GraphQL API, and the file stream of a run).
 * test/integrations compares it with what that client sends.
 */
import { answerOf, refusedBy } from './answer.ts';
import type { IntegrationsConfig } from './config.ts';

const SERVER = 'Weights & Biases';
/** 401: the key is wrong. 403, 404: it may not write there, or there is no such entity. */
const REFUSALS = [400, 401, 403, 404, 413, 422];

const UPSERT = `mutation UpsertBucket ($name: String, $project: String, $entity: String, $displayName: String, $notes: String, $config: JSONString, $tags: [String!]) {
  upsertBucket(input: {name: $name, modelName: $project, entityName: $entity, displayName: $displayName, notes: $notes, config: $config, tags: $tags}) {
    bucket { id name displayName project { id name entity { id name } } historyLineCount }
    inserted
  }
}`;

interface WandbRun {
  entity: string | null;
  project: string;
  /** Unique in the project. */
  name: string;
  displayName?: string;
  notes?: string;
  tags?: readonly string[];
  config?: Readonly<Record<string, unknown>>;
}

/** Where a run's data goes. */
export type RunPath = Readonly<{ entity: string; project: string; name: string }>;

interface Upserted {
  data?: { upsertBucket?: { bucket: { name: string; project: { name: string; entity: { name: string } } } } } | null;
  errors?: { message: string }[];
}

interface StreamedFile {
  /** Number of the first line: lines that are sent again replace themselves. */
  offset: number;
  content: string[];
}

export function openWandb({ baseUrl, authorization }: NonNullable<IntegrationsConfig['wandb']>) {
  const post = <T>(path: string, body: object) =>
    answerOf<T>(new URL(`${baseUrl}/${path}`), { method: 'POST', authorization, body, refusals: REFUSALS, server: SERVER });
  const stream = ({ entity, project, name }: RunPath, body: object) =>
    post(`files/${[entity, project, name].map(encodeURIComponent).join('/')}/file_stream`, body);

  return {
    /** Makes the run, or changes what is given of it; a run that has ended continues. @returns where it is, with the key's own entity if none was given */
    async upsert({ entity, project, name, displayName, notes, tags, config }: WandbRun): Promise<RunPath> {
      const given = config && JSON.stringify(Object.fromEntries(Object.entries(config).map(([key, value]) => [key, { value }])));
      const variables = { name, project, entity, displayName, notes, tags, config: given };
      const { data, errors = [] } = await post<Upserted>('graphql', { query: UPSERT, variables, operationName: 'UpsertBucket' });
      const bucket = data?.upsertBucket?.bucket;
      if (bucket === undefined) throw refusedBy(SERVER, errors.map(({ message }) => message).join('; ') || 'it made no run');
      return { entity: bucket.project.entity.name, project: bucket.project.name, name: bucket.name };
    },

    /** Adds lines to a run's history, and replaces its summary. */
    async log(run: RunPath, { history, summary }: { history: StreamedFile; summary: string }): Promise<void> {
      await stream(run, { files: { 'wandb-history.jsonl': history, 'wandb-summary.json': { offset: 0, content: [summary] } } });
    },

    /** A run that is silent for minutes is taken for crashed. */
    async beat(run: RunPath): Promise<void> {
      await stream(run, {});
    },

    async end(run: RunPath, exitcode: number): Promise<void> {
      await stream(run, { complete: true, exitcode });
    },

    /** Where people see the run: api.wandb.ai is the address for programs. */
    urlOf: ({ entity, project, name }: RunPath): string =>
      `${baseUrl.replace('://api.wandb.ai', '://wandb.ai')}/${[entity, project, 'runs', name].map(encodeURIComponent).join('/')}`,
  };
}
