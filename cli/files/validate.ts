/** Judges datasets on this machine, with what the service itself judges them with. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type JudgedFile, judgeFile } from '../../src/formats/judged-file.ts';
import type { Context } from '../context.ts';
import { EXIT, unreadable, usageFailure } from '../exit-code.ts';
import type { FileValidation } from '../types.ts';
import { validationText } from './validation-text.ts';

export async function validate(paths: readonly string[], { output }: Context): Promise<void> {
  for (const path of paths) {
    const validation = await validateLocally(path);
    output.item({ file: path, ...validation }, validationText(path, validation, output.paint));
    if (validation.status === 'error') process.exitCode = EXIT.failed;
  }
}

/** @throws Failure for a file that cannot be judged here */
export async function validateLocally(path: string): Promise<FileValidation> {
  await requireFile(path);
  const kind = isTable(path) ? 'a table' : isArchive(path) ? 'an archive' : null;
  if (kind !== null) throw usageFailure(`${path} is ${kind}, which is judged by the service alone`, `Upload it: graft files upload ${path}`);
  return viewOf(await judgeFile(createReadStream(path)));
}

export const isTable = (path: string): boolean => /\.(csv|parquet)$/i.test(path);

/** Of an adapter's directory. */
export const isArchive = (path: string): boolean => /\.(tar|tar\.gz|tgz)$/i.test(path);

/** @throws Failure */
export async function requireFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw unreadable(path, error);
  });
  if (!found.isFile()) throw usageFailure(`${path} is not a file`);
}

const viewOf = ({ lines, examples, problemCount, problems, warnings }: JudgedFile): FileValidation => ({
  status: problemCount === 0 ? 'processed' : 'error',
  lines,
  examples: { ...examples },
  problem_count: problemCount,
  problems,
  warnings,
});
