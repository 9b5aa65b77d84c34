/** Set-up's messages, and the programs it runs. Messages go to stderr, because stdout belongs to the command that follows. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';

/** Problems that the user can fix. Shown without a stack trace. */
export class SetupError extends Error {
  /** @param {{what: string, why?: string, how?: string}[]} problems */
  constructor(...problems) {
    const lines = problems.flatMap(({ what, why, how }) => [what, why && `  why: ${why}`, how && `  how: ${how}`]);
    super(lines.filter(Boolean).join('\n'));
  }
}

/**
 * Runs one step of set-up, and prints its title before and its duration after.
 * @template T
 * @param {string} title
 * @param {() => Promise<T>} work  its result, when it is a string, is shown after the title
 * @returns {Promise<T>}
 */
export async function step(title, work) {
  const started = performance.now();
  const live = process.stderr.isTTY;
  if (live) process.stderr.write(`  … ${title}`);
  else process.stderr.write(`  ${title} …\n`);
  const result = await work();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const remark = typeof result === 'string' && result !== '' ? ` (${result})` : '';
  process.stderr.write(live ? `\r\x1b[2K  ✓ ${title}${remark} ${seconds} s\n` : `  ✓ ${title}${remark} ${seconds} s\n`);
  return result;
}

/**
 * Runs a program quietly.
 * @param {readonly string[]} command
 * @param {{cwd?: string, env?: Record<string, string>, log?: string}} [options]  log: a file that keeps its output
 * @returns {Promise<string>} its stdout
 * @throws {Error} with the end of its output when it fails
 */
export function run(command, { cwd, env = {}, log } = {}) {
  const [program = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = log === undefined ? undefined : createWriteStream(log);
    let stdout = '';
    let both = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        if (stream === child.stdout) stdout += text;
        both = (both + text).slice(-6000);
        file?.write(text);
      });
    }
    child.once('error', reject);
    child.once('close', (code, signal) => {
      file?.end();
      if (code === 0) return resolve(stdout);
      const kept = log === undefined ? '' : `\nFull output: ${log}`;
      reject(new Error(`\`${[program, ...args].join(' ')}\` failed with ${code ?? signal}\n${both.trim()}${kept}`));
    });
  });
}
