/** The messages from an export process to its worker. */
import type { ExportResult } from '../engine/export/export.ts';
import type { TrainingError } from '../process/messages.ts';

export type ExportMessage = { progress: { bytes: number; total: number } } | { done: ExportResult } | { failed: TrainingError };
