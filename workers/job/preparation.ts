/** Shows how far a job's files have been read and tokenised, which takes minutes for large ones. */
import { quantity } from '../../src/formats/quantity.ts';
import type { NewEvent } from '../../src/jobs/job.ts';
import type { PreparationProgress } from '../engine/contract.ts';

/** Small files are read before the first event is due. */
const EVENT_EVERY_MS = 5_000;

/** Bytes of the files that are read, by the request's field. */
export type DatasetSizes = Partial<Record<PreparationProgress['param'], number>>;

/**
 * @param sizes    of all files of the job, in the order in which they are read
 * @param startMs  when reading began
 * @returns for each report, an event if one is due, and when all files will have been read if the speed stays the same
 */
export function preparationProgress(sizes: DatasetSizes, startMs: number) {
  const total = Object.values(sizes).reduce((sum, bytes) => sum + bytes, 0);
  let eventMs = startMs;
  return ({ param, bytesRead, bytesTotal, lines }: PreparationProgress, nowMs: number): { event: NewEvent | null; readyMs: number | null } => {
    const before = param === 'validation_file' ? (sizes.training_file ?? 0) : 0;
    const done = (before + bytesRead) / Math.max(total, before + bytesTotal);
    const readyMs = done > 0 ? startMs + (nowMs - startMs) / Math.min(1, done) : null;
    if (nowMs - eventMs < EVENT_EVERY_MS) return { event: null, readyMs };
    eventMs = nowMs;
    const file = param.replace('_', ' ');
    const share = Math.floor((100 * bytesRead) / bytesTotal);
    // How many lines there are is not known before the end: they are taken to be as long as those read.
    const all = bytesRead > 0 && bytesRead < bytesTotal ? ` of about ${Math.round((lines * bytesTotal) / bytesRead).toLocaleString('en')}` : '';
    const message = `Tokenised ${lines.toLocaleString('en')}${all} lines of the ${file} (${share} % of ${quantity(bytesTotal, 'byte')})`;
    return { event: { level: 'info', message, data: { file: param, lines, bytes_read: bytesRead, bytes_total: bytesTotal } }, readyMs };
  };
}
