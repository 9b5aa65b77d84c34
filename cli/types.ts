/** What the service answers, as far as the commands read it. Everything else is in the answers too, and `--json` shows it. */

export type JobStatus = 'validating_files' | 'queued' | 'running' | 'paused' | 'succeeded' | 'failed' | 'cancelled';

export interface Job {
  id: string;
  status: JobStatus;
  model: string;
  created_at: number;
  finished_at: number | null;
  estimated_finish: number | null;
  fine_tuned_model: string | null;
  step: number | null;
  total_steps: number | null;
  queue_position?: number | null;
  waiting_for: string | null;
  trained_tokens: number | null;
  training_file: string;
  validation_file: string | null;
  result_files: string[];
  suffix: string | null;
  seed: number;
  dry_run: boolean;
  error: { code: string; message: string; param: string | null } | null;
  hyperparameters: Record<string, unknown>;
  tuning: Record<string, unknown>;
  method: { type: string; [key: string]: unknown };
  metadata: Record<string, string> | null;
}

/** Whether a job, or an export, will not change any more. */
export const hasEnded = ({ status }: { status: string }): boolean => status === 'succeeded' || status === 'failed' || status === 'cancelled';

export interface JobEvent {
  id: string;
  created_at: number;
  level: 'info' | 'warn' | 'error';
  message: string;
  type: 'message' | 'metrics';
  data: Record<string, unknown> | null;
}

export interface Model {
  id: string;
  created: number;
  owned_by: string;
  family?: string;
  parameters?: number;
  size_bytes?: number;
  downloaded?: boolean;
  base_model?: string;
  job_id?: string;
  tuning_type?: string;
}

export interface Checkpoint {
  id: string;
  fine_tuned_model_checkpoint: string;
  step_number: number;
  metrics: Record<string, number>;
}

export interface Problem {
  problem: string;
  hint: string | null;
}

export interface FileValidation {
  status: 'uploaded' | 'processed' | 'error';
  lines: number | null;
  examples: Record<string, number> | null;
  problem_count: number | null;
  problems: Problem[];
  warnings: string[];
}

export interface List<T> {
  data: T[];
  has_more: boolean;
}
