import type { ExportDtype, ExportFormat } from '../formats/export-format.ts';
import type { HashedFile } from '../formats/hashed-file.ts';
import type { MergeProof } from '../formats/merge-proof.ts';
import type { eventLevels, StoredModel } from '../jobs/job.ts';

export const exportStatuses = ['queued', 'running', 'succeeded', 'failed', 'cancelled'] as const;
export type ExportStatus = (typeof exportStatuses)[number];

export const UNFINISHED = ['queued', 'running'] as const satisfies readonly ExportStatus[];

/** The weights that are exported. */
export interface ExportSource {
  /** The base model as its job named it, with the hub's commit. */
  model: string;
  modelRevision: string | null;
  /** A fully tuned model that is exported, or that the adapter was trained on; null if the base model is as it was. */
  base: StoredModel | null;
  adapter: StoredModel | null;
}

/** A repository of the hub that an export is pushed to. */
export interface HubTarget {
  /** `org/name` */
  repoId: string;
  isPrivate: boolean;
  branch: string;
  /** The commit that has the files, and its address for people; null until they are there. */
  commit: string | null;
  url: string | null;
}

/** Why an export failed. */
export interface ExportError {
  code: string;
  message: string;
  param: string | null;
}

export interface ExportEvent {
  id: string;
  seq: bigint;
  exportId: string;
  level: (typeof eventLevels)[number];
  message: string;
  createdAt: Date;
}

export type NewExportEvent = Pick<ExportEvent, 'level' | 'message'>;

/** A tuned model in another format: asked for, being made, or there. */
export interface Export {
  id: string;
  owner: string;
  jobId: string;
  model: string;
  source: ExportSource;
  format: ExportFormat;
  dtype: ExportDtype;
  status: ExportStatus;
  doneBytes: number | null;
  totalBytes: number | null;
  warnings: string[];
  proof: MergeProof | null;
  error: ExportError | null;
  hub: HubTarget | null;
  /** The user's token for the hub, sealed for this export. */
  hubToken: string | null;
  /** The name under which a vLLM serves it. */
  vllmName: string | null;
  folder: string | null;
  files: HashedFile[] | null;
  attempt: number;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
  expiresAt: Date | null;
}

export type NewExport = Pick<Export, 'id' | 'jobId' | 'model' | 'source' | 'format' | 'dtype' | 'hub' | 'hubToken' | 'vllmName'>;
