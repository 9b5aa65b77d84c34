/**
 * The export process: `node program.ts OPTIONS`, JSON of `ExportOptions`. Paths in, paths out; no database, queue, storage or credentials. It reads models
 * of anyone, and may run out of memory without ending the worker.
 */
import { type ExportOptions, exportModel } from '../engine/export/export.ts';
import { tf } from '../engine/tensorflow/tensorflow.ts';
import { asTrainingError } from '../process/errors.ts';
import { endOnlyWithParent } from '../process/parent-death.ts';
import type { ExportMessage } from './messages.ts';

endOnlyWithParent();

const send = (message: ExportMessage): Promise<void> => new Promise((resolve) => process.send!(message, undefined, undefined, () => resolve()));

try {
  await tf.ready();
  const options = JSON.parse(process.argv[2]!) as ExportOptions;
  await send({ done: await exportModel(options, (bytes, total) => send({ progress: { bytes, total } })) });
} catch (error) {
  console.error(error);
  await send({ failed: asTrainingError(error) });
}
process.disconnect();
