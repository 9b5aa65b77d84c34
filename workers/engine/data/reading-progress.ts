/** How far a file of examples has been read. */
import type { DatasetOptions } from './dataset.ts';

/** Progress is reported each time that this much more has been read: about a second of tokenising. */
const REPORT_BYTES = 2 ** 20;

/** @returns what to call after each example; it reports now and then */
export function progressReporter(
  { param, preparing }: Pick<DatasetOptions, 'param' | 'preparing'>,
  bytesTotal: number,
): (bytesRead: number, lines: number) => void | Promise<void> {
  let next = REPORT_BYTES;
  return (bytesRead, lines) => {
    if (bytesRead < next || preparing === undefined) return;
    next = bytesRead + REPORT_BYTES;
    return preparing({ param, bytesRead, bytesTotal, lines });
  };
}
