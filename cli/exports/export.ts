import type { JobEvent } from '../types.ts';

/** An event of an export as the service shows it. */
export type ExportEvent = Pick<JobEvent, 'id' | 'created_at' | 'level' | 'message' | 'type'>;

/** An export as the service shows it. */
export interface Export {
  id: string;
  created_at: number;
  model: string;
  format: string;
  dtype: string;
  status: string;
  progress: { bytes: number; total_bytes: number } | null;
  files: { name: string; bytes: number; sha256: string }[];
  warnings: string[];
  hub: { repo_id: string; url: string | null } | null;
  error: { message: string } | null;
}
