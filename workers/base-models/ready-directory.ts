/**
 * The Hugging Face directories of base models. One is made of a GGUF file when it is first used: `DATA_DIR/gguf/{sha256}`, in a process of its own, because
 * the file may come from anyone and reading it takes all of a processor.
 */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Logger } from 'pino';
import { Refusal } from '../../src/formats/refusal.ts';
import type { FileHash } from '../engine/io/base-model-files.ts';
import { forkChild } from '../process/child.ts';
import { died } from '../process/died.ts';
import type { TrainingError } from '../process/messages.ts';
import { ggufDirectory, isGgufFile } from './gguf-files.ts';
import { type HeldDirectory, holdDirectory, unswept } from './held-directory.ts';

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
 * @returns a directory that the engine opens, at once if nothing is to be made; it stays until it is left
 * @throws Refusal for a file that cannot be read; TrainingProcessDied; the signal's reason
 */
export type ReadyDirectory = (dir: string, use: Use) => Promise<HeldDirectory>;

interface Options {
  dataDir: string;
  sha256Of: FileHash;
  environment: Record<string, string>;
  /** Put before the command of the process: confinement.ts. */
  prefix?: readonly string[];
  log: Logger;
}

export function openReadyDirectories({ dataDir, sha256Of, environment, prefix = [], log }: Options): ReadyDirectory {
  return async (path, { signal, onStart = async () => {} }) => {
    if (!isGgufFile(path)) return unswept(path);
    const sha256 = await sha256Of(path, await stat(path));
    const dir = ggufDirectory(dataDir, sha256);
    const make = async () => {
      log.info({ path, dir }, 'making a Hugging Face directory of a GGUF file');
      await onStart();
      await imported({ path, dir, sha256 }, { environment, prefix, signal, log });
    };
    return holdDirectory(dir, { signal, make });
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
