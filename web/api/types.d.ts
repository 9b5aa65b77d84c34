/** What the pages read of the public API's objects. The API's own description is at /docs. */
export type Status = 'validating_files' | 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';

export interface List<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
}

export interface Job {
  id: string;
  created_at: number;
  finished_at: number | null;
  estimated_finish: number | null;
  error: { code: string; message: string; param: string | null } | null;
  fine_tuned_model: string | null;
  hyperparameters: Record<string, unknown>;
  model: string;
  organization_id: string;
  result_files: string[];
  suffix: string | null;
  seed: number;
  priority: number;
  sweep_id: string | null;
  dry_run: boolean;
  status: Status;
  waiting_for: string | null;
  step: number | null;
  total_steps: number | null;
  queue_position?: number | null;
  trained_tokens: number | null;
  training_file: string;
  validation_file: string | null;
  metadata: Record<string, string> | null;
  integrations: unknown[] | null;
  sample_prompts: (string | { role: string; content: string }[])[] | null;
  evaluations: Record<string, unknown>[] | null;
  evaluation_file: string | null;
  analysis: boolean;
  /** With the objective's settings by the name of its type. */
  method: { type: string } & { [objective: string]: unknown };
  tuning: { type: string } & Record<string, unknown>;
  [more: string]: unknown;
}

/** What a job of a sweep has in place of what all have, and what became of it. */
export interface Trial {
  index: number;
  values: Record<string, unknown>;
  job_id: string | null;
  fine_tuned_model: string | null;
  status: string;
  step: number | null;
  total_steps: number | null;
  metric: { step: number; value: number } | null;
  error: { message: string } | null;
}

export interface Sweep {
  id: string;
  created_at: number;
  finished_at: number | null;
  name: string | null;
  status: string;
  base: Record<string, unknown>;
  search: { strategy: string; parameters: Record<string, unknown> };
  budget: { steps?: number; tokens?: number } | null;
  metric: string;
  mode: 'min' | 'max';
  jobs: { total: number; created: number; ended: number; succeeded: number };
  waiting_for: string | null;
  rungs: { step: number; kept: number[]; stopped: { index: number; value: number | null }[] }[];
  winner: { index: number; job_id: string; value: number } | null;
  reason: string | null;
}

export interface EventLine {
  id: string;
  created_at: number;
  level: 'info' | 'warn' | 'error';
  message: string;
}

export interface JobEvent extends EventLine {
  type: string;
  data: Record<string, unknown> | null;
}

export interface StepMetrics {
  step: number;
  metrics: Record<string, number>;
}

export interface Checkpoint {
  id: string;
  created_at: number;
  fine_tuned_model_checkpoint: string;
  step_number: number;
  metrics: Record<string, number>;
}

export interface StoredFile {
  id: string;
  bytes: number;
  created_at: number;
  filename: string;
  purpose: string;
  status: 'uploaded' | 'processed' | 'error';
  status_details?: string;
}

export interface FileProblem {
  line: number | null;
  message: number | null;
  field: string | null;
  row: number | null;
  column: string | null;
  problem: string;
  hint: string | null;
}

export interface FileValidation {
  status: 'uploaded' | 'processed' | 'error';
  lines: number | null;
  examples: { chat: number; completion: number; preference: number; text?: number; labelled?: number; distilled?: number } | null;
  problem_count: number | null;
  problems: FileProblem[];
  warnings: string[];
}

export interface Model {
  id: string;
  created: number;
  owned_by: string;
  family?: string;
  parameters?: number;
  size_bytes?: number;
  tuning_types?: string[];
  base_model?: string;
  job_id?: string;
  tuning_type?: string;
}

export interface Sample {
  id: string;
  step_number: number;
  prompt_index: number;
  prompt: string | { role: string; content: string }[];
  text: string;
  finish_reason: string;
}

export interface Export {
  id: string;
  created_at: number;
  expires_at: number | null;
  model: string;
  fine_tuning_job_id: string;
  format: string;
  dtype: string | null;
  status: string;
  progress: { bytes: number; total_bytes: number } | null;
  files: { name: string; bytes: number; sha256: string }[];
  warnings: string[];
  error: { code: string; message: string; param: string | null } | null;
}

export interface Worker {
  id: string;
  hostname: string;
  device: string;
  memory_bytes: number | null;
  started_at: number;
  last_seen_at: number;
  models: string[];
  running_jobs: number;
  jobs: string[];
}

export interface Estimate {
  trained_parameters: number;
  total_parameters: number;
  delivered_bytes: number;
  memory: Record<string, number> & { total_bytes: number };
  data: { examples: number; tokens: number; longest_tokens: number; total_steps: number; total_tokens: number } | null;
  workers: { id: string; device: string; memory_bytes: number | null; has_model: boolean; fits: boolean | null }[];
  assumptions: string[];
}
