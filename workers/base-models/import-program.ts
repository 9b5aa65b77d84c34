/** The import process: `node import-program.ts REQUEST`, JSON of `ImportRequest`. Paths in, paths out; no database, queue, storage or credentials. */
import { importGguf } from '../engine/gguf/import-gguf.ts';
import { asTrainingError } from '../process/errors.ts';
import { endOnlyWithParent } from '../process/parent-death.ts';
import type { ImportMessage, ImportRequest } from './ready-directory.ts';

endOnlyWithParent();

const send = (message: ImportMessage): Promise<void> => new Promise((resolve) => process.send!(message, undefined, undefined, () => resolve()));

try {
  const { path, dir, sha256 } = JSON.parse(process.argv[2]!) as ImportRequest;
  await importGguf(path, dir, { sha256 });
  await send({ done: true });
} catch (error) {
  console.error(error);
  await send({ failed: asTrainingError(error) });
}
process.disconnect();
