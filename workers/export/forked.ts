/** An export process as the worker sees it. */
import { fileURLToPath } from 'node:url';
import { Refusal } from '../../src/formats/refusal.ts';
import type { ExportOptions, ExportResult } from '../engine/export/export.ts';
import { type ChildOptions, forkChild } from '../process/child.ts';
import { died } from '../process/died.ts';
import type { ExportMessage } from './messages.ts';

const PROGRAM = fileURLToPath(new URL('program.ts', import.meta.url));

interface ExportProcessOptions extends ChildOptions {
  onProgress(bytes: number, total: number): void;
  /** Aborting it ends the process. */
  signal: AbortSignal;
}

/** @throws Refusal when the model cannot be exported; TrainingProcessDied; the signal's reason */
export async function exportInProcess(options: ExportOptions, { onProgress, signal, ...child }: ExportProcessOptions): Promise<ExportResult> {
  signal.throwIfAborted();
  const { process, gone, lastWords, kill } = forkChild(PROGRAM, [JSON.stringify(options)], child);
  const end = () => void kill();
  signal.addEventListener('abort', end);
  const answer = new Promise<ExportResult | Refusal>((resolve) => {
    process.on('message', (message: ExportMessage) => {
      if ('progress' in message) onProgress(message.progress.bytes, message.progress.total);
      else if ('done' in message) resolve(message.done);
      else resolve(new Refusal(message.failed.code, message.failed.message, message.failed));
    });
  });
  try {
    const result = await Promise.race([answer, gone]);
    signal.throwIfAborted();
    if (typeof result === 'string') throw died(result, await lastWords());
    if (result instanceof Refusal) throw result;
    return result;
  } finally {
    signal.removeEventListener('abort', end);
    await kill();
  }
}
