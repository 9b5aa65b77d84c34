/**
 * The Hugging Face directories of base models. One is made of a GGUF file when it is first used: `DATA_DIR/gguf/{sha256}`, in a process of its own, because
 * the file may come from anyone and reading it takes all of a processor.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { withFileLock } from '../../src/file-lock.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { openHashes } from '../engine/io/base-model-files.ts';
import { forkChild } from '../process/child.ts';
import { died } from '../process/died.ts';
import type { TrainingError } from '../process/messages.ts';
import { isGgufFile } from './gguf-files.ts';

const PROGRAM = fileURLToPath(new URL('import-program.ts', import.meta.url));

export interface ImportRequest {
  path: string;
  dir: string;
  sha256: string;
}

export type ImportMessage = { done: true } | { failed: TrainingError };

interface Use {
  /** Aborting it ends what is being made. */
  signal: AbortSignal;
  /** Called before a directory is made. */
  onStart?(): Promise<void>;
}

/**
 * @param dir of a model that was found on disk
 * @returns a directory that the engine opens, at once if nothing is to be made
 * @throws Refusal for a file that cannot be read; TrainingProcessDied; the signal's reason
 */
export type ReadyDirectory = (dir: string, use: Use) => Promise<string>;

interface Options {
  dataDir: string;
  environment: Record<string, string>;
  /** Put before the command of the process: confinement.ts. */
  prefix?: readonly string[];
  log: Logger;
}

export function openReadyDirectories({ dataDir, environment, prefix = [], log }: Options): ReadyDirectory {
  const sha256Of = openHashes();
  return async (path, { signal, onStart = async () => {} }) => {
    if (!isGgufFile(path)) return path;
    const sha256 = await sha256Of(path, await stat(path));
    const dir = join(dataDir, 'gguf', sha256);
    if (existsSync(dir)) return dir;
    return withFileLock(`${dir}.lock`, signal, async () => {
      if (existsSync(dir)) return dir; // another job has made it in the meantime
      log.info({ path, dir }, 'making a Hugging Face directory of a GGUF file');
      await onStart();
      await imported({ path, dir, sha256 }, { environment, prefix, signal, log });
      return dir;
    });
  };
}

type Running = Required<Pick<Options, 'environment' | 'prefix' | 'log'>> & Pick<Use, 'signal'>;

async function imported(request: ImportRequest, { environment, prefix, signal, log }: Running): Promise<void> {
  const { process, gone, lastWords, kill } = forkChild(PROGRAM, [JSON.stringify(request)], {
    env: environment,
    prefix,
    onOutput: (line) => log.debug({ line }, 'import process'),
  });
  const end = () => void kill();
  signal.addEventListener('abort', end);
  const answer = new Promise<ImportMessage>((resolve) => process.once('message', resolve));
  try {
    const result = await Promise.race([answer, gone]);
    signal.throwIfAborted();
    if (typeof result === 'string') throw died(result, await lastWords());
    if ('failed' in result) throw new Refusal(result.failed.code, result.failed.message, result.failed);
  } finally {
    signal.removeEventListener('abort', end);
    await kill();
  }
}
