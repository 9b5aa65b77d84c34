/** A check that needs llama.cpp. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pythonEnvironment } from '../python/environment.ts';
import { hasBinary, LlamaCpp, PLATFORM } from './llama-cpp.ts';

export interface Tools {
  llamaCpp: LlamaCpp;
  python: string;
  /** A directory that is deleted after the check. */
  scratch: string;
}

/**
 * @param check returns the problems that it found
 * @returns the exit code; without a binary for this machine, the check fails in CI and is left out elsewhere
 */
export async function checkWithLlamaCpp(name: string, check: (tools: Tools) => Promise<string[]>): Promise<number> {
  if (!hasBinary()) {
    console.error(`node-llama-cpp has no binary for ${PLATFORM}: llama.cpp was not run`);
    return process.env['CI'] === undefined ? 0 : 1;
  }
  const scratch = mkdtempSync(join(tmpdir(), `graft-${name}-`));
  try {
    const python = await pythonEnvironment();
    const problems = await check({ python, llamaCpp: await LlamaCpp.open(python), scratch });
    for (const problem of problems) console.error(`✗ ${problem}`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}
