/**
 * `npm run bench:peers -- [--rounds 3] [--precision f32,bf16] [--only TEXT] [--write]`: Graft beside PyTorch's libraries, each pair in turn on the same
 * machine. Prints medians and ratios as a table and one JSON line; with --write its rows go into docs/results.md. Makes the peers' Python environment first.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pythonEnvironment } from '../reference/python/environment.ts';
import { median } from './measures.ts';
import { readResult, table, thisMachine, writeResult } from './results-page.ts';

const { values: asked } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    precision: { type: 'string', default: 'f32,bf16' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});

interface Result {
  tokensPerSecond: number;
  supervisedPerSecond?: number;
  peakMemoryMb: number;
  utilisation?: number;
}

interface Pair {
  name: string;
  peer: string;
  ours: string[];
  theirs: string[];
}

const python = await pythonEnvironment({ beside: join(import.meta.dirname, 'peers/requirements.txt') });
const work = mkdtempSync(join(tmpdir(), 'graft-peers-'));
const data = join(work, 'chats.jsonl');
execFileSync(python, [program('trl_sft.py'), '--write-data', data]);

function program(name: string): string {
  return join(import.meta.dirname, 'peers', name);
}

function pairs(precision: string): Pair[] {
  const step = (method: string, compile: boolean): Pair => ({
    name: `step, ${method === 'lora' ? 'LoRA' : 'full'} ${precision}`,
    peer: `transformers${method === 'lora' ? ' + PEFT' : ''}${compile ? ', `torch.compile`' : ''}`,
    ours: ['bench/step.ts', '--method', method, '--precision', precision],
    theirs: ['peft_step.py', '--method', method, '--precision', precision, ...(compile ? ['--compile'] : [])],
  });
  const chats = (mode: string): Pair => ({
    name: `chats, LoRA ${precision}`,
    peer: `TRL, ${mode}`,
    ours: ['bench/sft.ts', '--data', data, '--precision', precision],
    theirs: ['trl_sft.py', '--data', data, '--mode', mode, '--precision', precision],
  });
  return [step('lora', false), step('lora', true), ...(precision === 'f32' ? [step('full', false)] : []), chats('packed'), chats('padded')];
}

/** @returns the last line, which is JSON */
function run(command: string, args: string[]): Result {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', cwd: join(import.meta.dirname, '..') });
  if (status !== 0) throw new Error(`${args.join(' ')} failed:\n${stderr.trim().split('\n').slice(-5).join('\n')}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Result;
}

const speed = ({ supervisedPerSecond, tokensPerSecond }: Result): number => supervisedPerSecond ?? tokensPerSecond;

function compare({ name, peer, ours, theirs }: Pair) {
  const rounds = Array.from({ length: Number(asked.rounds) }, () => {
    const [graft, other] = [run(process.execPath, ['--import', 'tsx', ...ours]), run(python, [program(theirs[0]!), ...theirs.slice(1)])];
    console.error(
      `${name} against ${peer}: ${speed(graft).toFixed(0)} to ${speed(other).toFixed(0)} tokens/s, ${graft.peakMemoryMb.toFixed(0)} to ${other.peakMemoryMb.toFixed(0)} MB`,
    );
    return { graft, other };
  });
  const of = (pick: (round: (typeof rounds)[number]) => number): number => median(rounds.map(pick));
  return {
    name,
    peer,
    tokensPerSecond: [of(({ graft }) => speed(graft)), of(({ other }) => speed(other))] as const,
    faster: of(({ graft, other }) => speed(graft) / speed(other)),
    memoryMb: [of(({ graft }) => graft.peakMemoryMb), of(({ other }) => other.peakMemoryMb)] as const,
    memory: of(({ graft, other }) => graft.peakMemoryMb / other.peakMemoryMb),
    utilisation: rounds[0]!.graft.utilisation === undefined ? null : of(({ graft }) => graft.utilisation!),
  };
}

const HEAD = ['', 'against', 'tokens/s', 'faster', 'peak memory', 'memory', 'of the matmul peak', 'rounds'];
const pairOf = (row: string): string => row.split('|').slice(1, 3).join('|');
const isRow = (line: string): boolean => line.startsWith('| ') && line.includes('×');

/** Puts rows into the page's table in the place of those of the same pairs; what was not measured now stays. */
function writeRows(measured: string): void {
  const rows = (page: string) =>
    page
      .split('\n')
      .filter(isRow)
      .map((row) => [pairOf(row), row] as const);
  const merged = new Map([...rows(readResult('peers')), ...rows(measured)]);
  const head = measured.split('\n').slice(0, 2);
  const where = `Measured last on ${thisMachine()}; medians of the rounds. Chats count supervised tokens.`;
  writeResult('peers', [...head, ...merged.values(), '', where].join('\n'));
}

try {
  const chosen = asked.precision.split(',').flatMap(pairs);
  const results = chosen.filter(({ name, peer }) => `${name} ${peer}`.includes(asked.only)).map(compare);
  const rows = results.map(({ name, peer, tokensPerSecond: [ours, theirs], faster, memoryMb: [mb, theirMb], memory, utilisation }) => {
    const rates = `${ours.toFixed(0)} to ${theirs.toFixed(0)}`;
    const sizes = `${(mb / 1000).toFixed(1)} to ${(theirMb / 1000).toFixed(1)} GB`;
    const peak = utilisation === null ? '' : utilisation.toFixed(2);
    return [name, peer, rates, `**${faster.toFixed(2)}×**`, sizes, `**${memory.toFixed(2)}×**`, peak, asked.rounds];
  });
  const measured = table(HEAD, rows);
  console.log(measured);
  if (asked.write) writeRows(measured);
  console.log(JSON.stringify({ bench: 'peers', rounds: Number(asked.rounds), results }));
} finally {
  rmSync(work, { recursive: true, force: true });
}
