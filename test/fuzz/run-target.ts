/** Runs one parser in processes that can be ended: after a hang or a crash, another one continues with the next input. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ChildLine } from './child.ts';
import type { Kill } from './watchdog.ts';

/** After so many, the parser is given up. */
const MAX_ENDED = 20;
const MAX_FINDINGS_KEPT = 50;
const HEAP_MB = 1_024;

export interface FuzzResult {
  name: string;
  inputs: number;
  accepted: number;
  refused: number;
  crashes: number;
  hangs: number;
  longMessages: number;
  /** Of the heap, from a quarter of the inputs to the end; MiB. */
  growthMb: number;
  seconds: number;
  findings: { what: string; index: number; message: string; input?: string }[];
}

export async function runTarget(name: string, { inputs, seed }: { inputs: number; seed: number }): Promise<FuzzResult> {
  const startedMs = performance.now();
  const dir = mkdtempSync(join(tmpdir(), 'graft-fuzz-run-'));
  const indexFile = join(dir, 'index');
  const result: FuzzResult = {
    name,
    inputs: 0,
    accepted: 0,
    refused: 0,
    crashes: 0,
    hangs: 0,
    longMessages: 0,
    growthMb: 0,
    seconds: 0,
    findings: [],
  };
  const note = (finding: FuzzResult['findings'][number]) => {
    if (result.findings.length < MAX_FINDINGS_KEPT) result.findings.push(finding);
  };
  let next = 1;
  try {
    for (let ended = 0; next <= inputs && ended < MAX_ENDED; ) {
      const { lines, how } = await runChild(next);
      let killed: Kill | null = null;
      for (const line of lines) {
        if ('kill' in line) killed = line.kill;
        else if ('done' in line) {
          result.accepted += line.accepted;
          result.refused += line.refused;
          result.growthMb = Math.max(result.growthMb, line.memoryMb.late - line.memoryMb.early);
          next = inputs + 1;
        } else {
          if (line.finding === 'crash') result.crashes++;
          else result.longMessages++;
          note({ what: line.finding, index: line.index, message: line.message, input: line.input });
        }
      }
      if (next > inputs) break;
      const index = readFileSync(indexFile).readInt32LE(0);
      if (killed === null) result.crashes++;
      else result.hangs++;
      note({ what: killed ?? 'the process died', index, message: killed === null ? how : `ended by the watchdog (${killed})` });
      next = Math.max(index, next) + 1;
      ended++;
    }
    result.inputs = Math.min(next - 1, inputs);
    result.seconds = (performance.now() - startedMs) / 1000;
    return result;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }

  async function runChild(from: number): Promise<{ lines: (ChildLine | { kill: Kill; index: number })[]; how: string }> {
    const fd = openSync(indexFile, 'w+');
    const args = ['--name', name, '--from', String(from), '--to', String(inputs), '--seed', String(seed)];
    const child = spawn(
      process.execPath,
      [`--max-old-space-size=${HEAP_MB}`, '--expose-gc', '--import', 'tsx', join(import.meta.dirname, 'child.ts'), ...args],
      { stdio: ['ignore', 'pipe', 'pipe', fd] },
    );
    closeSync(fd);
    const lines: (ChildLine | { kill: Kill; index: number })[] = [];
    const errors: string[] = [];
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (line.startsWith('{')) lines.push(JSON.parse(line));
    });
    createInterface({ input: child.stderr! }).on('line', (line) => {
      errors.push(line);
      if (errors.length > 10) errors.shift();
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    return { lines, how: `${signal ?? `exit code ${code}`}: ${errors.join(' | ').slice(0, 600)}` };
  }
}
