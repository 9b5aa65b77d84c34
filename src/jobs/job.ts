import type { SamplePrompt } from '../formats/evaluations.ts';
import type { Grader } from '../formats/graders/grader.ts';
import type { HashedFile } from '../formats/hashed-file.ts';
import type { Hyperparameters, ResolvedHyperparameters } from '../formats/hyperparameters.ts';
import type { JsonObject } from '../formats/json-value.ts';
import type { Metrics } from '../formats/metrics.ts';
import type { ObjectiveName } from '../formats/objectives/objectives.ts';
import type { Tuning } from '../formats/tuning/tuning.ts';
import type { OfSweep } from '../sweeps/trial-store.ts';
import type { Integrations } from './integrations.ts';
import type { Need } from './setback.ts';
import type { JobStatus } from './state.ts';

/** Why a job failed, as the job object shows it. */
export interface JobError {
  code: string;
  message: string;
  param: string | null;
}

/** Files that training delivered, in the object store. */
export interface StoredModel {
  /** `ft:…` */
  name: string;
  /** Ends in `/`. */
  folder: string;
  /** With paths inside the folder, as they were written. */
  files: HashedFile[];
  /** An uploaded adapter is in a tar instead of a folder: its key. The files have the paths inside it. */
  tar?: string;
}

/** What a job on a tuned model or checkpoint starts from. `model` is then the base model on which all of it stands. */
export interface StartFrom {
  /** As requested: `ft:…`, `ft:…:ckpt-step-N`, or the id of a file. */
  name: string;
  /** The job that made it; null for an uploaded adapter. */
  jobId: string | null;
  /** A fully tuned model that replaces the base model; null if the base is as it was. */
  base: StoredModel | null;
  /** An adapter that the job continues; null if it begins with a new one, or tunes in full. */
  adapter: StoredModel | null;
}

/** The worker's facts about the data and the model. */
export interface JobFacts {
  /** Of the training file. */
  training?: { examples: number; tokens: number };
}

/** A fine-tuning job as the service and the workers see it; only the store knows its row. */
export interface Job {
  id: string;
  /** The project that the job belongs to. */
  owner: string;
  /** The project's organization, which the names of the job's models show. */
  organization: string;
  status: JobStatus;
  /** The base model's id, or `org/name[@revision]` on the hub. */
  model: string;
  /** For a model from the hub, the commit that its name referred to when the job was created; null for a local directory. */
  modelRevision: string | null;
  /** The tuned model or checkpoint that the job starts from; null for a base model. */
  startFrom: StartFrom | null;
  trainingFileId: string;
  validationFileId: string | null;
  /** Answered before the first step, at each evaluation and at the end. */
  samplePrompts: SamplePrompt[] | null;
  /** Graders of answers to held-out examples. */
  evaluations: Grader[] | null;
  /** Where these are from; null: from the validation file. */
  evaluationFileId: string | null;
  evaluationMaxExamples: number | null;
  /** Of each answer. */
  maxCompletionTokens: number | null;
  /** Whether what training changed is measured before the job succeeds. */
  analysis: boolean;
  /** What must not be forgotten; null: what the base model writes. */
  retentionFileId: string | null;
  suffix: string | null;
  seed: number;
  /** Higher goes first; within one, projects take turns. */
  priority: number;
  /** Only measures what the job would need: it delivers nothing, and is removed soon after it has ended. */
  dryRun: boolean;
  /** Whether a worker may train it beside others on one copy of their base. */
  mayShareBase: boolean;
  /** What is minimised: OpenAI's `method.type`. */
  objective: ObjectiveName;
  /** As requested, with the objective's own. */
  hyperparameters: Hyperparameters;
  /** Replaces the model's own chat template. */
  chatTemplate: string | null;
  /** Variables for the chat template, by name; a line's own take precedence. */
  chatTemplateKwargs: JsonObject | null;
  /** With every choice resolved; null until the data has been read. */
  resolved: ResolvedHyperparameters | null;
  /** As requested, then as resolved once the data has been read. */
  tuning: Tuning;
  metadata: Record<string, string> | null;
  /** As requested. */
  integrations: Integrations | null;
  facts: JobFacts | null;
  totalSteps: number | null;
  /** The last one done, as of the worker's last heartbeat. */
  step: number | null;
  trainedTokens: number | null;
  /** Set by `succeed`. */
  fineTunedModel: string | null;
  /** Where the delivered files are in the object store, ending in `/`; set by `succeed`. */
  adapterFolder: string | null;
  resultFileIds: string[];
  error: JobError | null;
  estimatedFinish: Date | null;
  /** Fencing: whoever claims the job increments it, and only the newest attempt may write. */
  attempt: number;
  /** The worker that has the job; null if none does. */
  workerId: string | null;
  heartbeatAt: Date | null;
  /** How often in a row a worker was lost without a newer checkpoint. */
  losses: number;
  /** The newest checkpoint's step at the last loss; null if no worker was lost. */
  lostAtStep: number | null;
  /** What the job waits for; null if it does not wait. */
  waitingFor: Need | null;
  waitingSince: Date | null;
  /** A job that waits is not taken before. */
  resumeAt: Date | null;
  /** W3C `traceparent` of the request that made it; null if it is not traced. */
  traceParent: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  /** When the operator's policy removes the job; null while it has not ended, or if jobs are kept. */
  expiresAt: Date | null;
  /** The sweep that the job is part of, and which of its trials it is, from 0; null for a job of its own. */
  sweepId: string | null;
  sweepIndex: number | null;
  /** The step after which the job pauses, so that its sweep can compare it; null: it runs to its end. */
  pauseAtStep: number | null;
}

/** What a move or a heartbeat may write besides the status. */
export type JobPatch = Partial<
  Pick<
    Job,
    | 'resolved'
    | 'tuning'
    | 'facts'
    | 'totalSteps'
    | 'step'
    | 'trainedTokens'
    | 'fineTunedModel'
    | 'adapterFolder'
    | 'resultFileIds'
    | 'error'
    | 'estimatedFinish'
    | 'finishedAt'
    | 'expiresAt'
  >
>;

/** What a job asks of its model. */
export type AnswerField = 'samplePrompts' | 'evaluations' | 'evaluationFileId' | 'evaluationMaxExamples' | 'maxCompletionTokens';

/** What a job asks of its analysis. */
export type AnalysisField = 'analysis' | 'retentionFileId';

/** The fields that `create` needs. */
export type NewJob = Pick<
  Job,
  'id' | 'model' | 'trainingFileId' | 'validationFileId' | 'suffix' | 'seed' | 'hyperparameters' | 'tuning' | 'metadata'
> &
  Partial<
    Pick<
      Job,
      | AnswerField
      | AnalysisField
      | keyof OfSweep
      | 'objective'
      | 'organization'
      | 'integrations'
      | 'priority'
      | 'dryRun'
      | 'mayShareBase'
      | 'modelRevision'
      | 'startFrom'
      | 'chatTemplate'
      | 'chatTemplateKwargs'
      | 'traceParent'
    >
  > & {
    idempotencyKey?: string;
    /** Runs at tracking servers, which begin with the job. */
    runs?: readonly { type: string; position: number }[];
  };

export const eventLevels = ['info', 'warn', 'error'] as const;
export const eventTypes = ['message', 'metrics', 'sample'] as const;

export interface JobEvent {
  id: string;
  /** Order within the job. */
  seq: bigint;
  level: (typeof eventLevels)[number];
  message: string;
  type: (typeof eventTypes)[number];
  data: object | null;
  createdAt: Date;
}

export type NewEvent = Pick<JobEvent, 'level' | 'message'> & { type?: JobEvent['type']; data?: object };

/** One optimizer step. */
export interface StepMetric {
  /** From 1. */
  step: number;
  metrics: Metrics;
}

/** Metrics as events and checkpoints show them, under the contract's names. */
export type CheckpointMetrics = { step: number } & Metrics;

export interface Checkpoint {
  id: string;
  jobId: string;
  step: number;
  /** `ft:…:ckpt-step-N` */
  name: string;
  /** Where its files are in the object store, ending in `/`. */
  folder: string;
  metrics: CheckpointMetrics;
  /** What was uploaded, with paths inside the checkpoint's folder; null for a checkpoint of an older version. */
  files: HashedFile[] | null;
  /** Why the checkpoint cannot be resumed from; null if nothing is known to be wrong with it. */
  problem: string | null;
  createdAt: Date;
  /** When the operator's policy removes it; null while its job has not ended, or if checkpoints are kept. */
  expiresAt: Date | null;
}

export type NewCheckpoint = Pick<Checkpoint, 'step' | 'folder' | 'metrics'> & { files: HashedFile[] };
