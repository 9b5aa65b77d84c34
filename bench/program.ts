/** Runs a program that measures something. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/** Lines of a failed program's messages that are shown. */
const SHOWN_LINES = 5;

/** @returns the last line that the program prints. @throws Error with the end of its messages if it fails */
export function lastLineOf([command, ...args]: readonly [string, ...string[]], environment: Record<string, string> = {}): string {
  const env = { ...process.env, ...environment };
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: join(import.meta.dirname, '..'), env });
  if (status !== 0) throw new Error(`${args.join(' ')} failed:\n${stderr.trim().split('\n').slice(-SHOWN_LINES).join('\n')}`);
  return stdout.trim().split('\n').at(-1)!;
}
