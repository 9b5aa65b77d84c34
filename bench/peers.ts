/**
 * `npm run bench:peers -- [--rounds 3] [--precision f32,bf16] [--shapes 135m,qwen2.5-0.5b,…] [--only TEXT] [--avx2] [--write]`: compares Graft with
 * PyTorch's libraries, alternately on the same machine, in SmolLM2-135M's shape unless --shapes names published ones. --avx2 keeps both to that instruction
 * set. Makes the peers' Python environment first.
 * Prints medians and ratios as a table and one JSON line; --write puts the rows into docs/results.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pythonEnvironment } from '../reference/python/environment.ts';
import { median } from './measures.ts';
import { lastLineOf } from './program.ts';
import { readResult, table, thisMachine, writeResult } from './results-page.ts';
import { configJson, type Shape, SMOLLM2_135M, shapeOf } from './smollm-shapes.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    precision: { type: 'string', default: 'f32,bf16' },
    shapes: { type: 'string', default: SMOLLM2_135M },
    only: { type: 'string', default: '' },
    avx2: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});

/** What keeps each library to AVX2: oneDNN, in both programs, Graft's own kernels, and PyTorch's MKL and own kernels. */
const KEPT_TO_AVX2 = { ONEDNN_MAX_CPU_ISA: 'AVX2', TF_GRAFT_INSTRUCTIONS: 'avx2', MKL_ENABLE_INSTRUCTIONS: 'AVX2', ATEN_CPU_CAPABILITY: 'avx2' };
if (options.avx2) Object.assign(process.env, KEPT_TO_AVX2);

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

const python = await pythonEnvironment({ extraRequirements: join(import.meta.dirname, 'peers/requirements.txt') });
const work = mkdtempSync(join(tmpdir(), 'graft-peers-'));
const data = join(work, 'chats.jsonl');
execFileSync(python, [program('trl_sft.py'), '--write-data', data]);

function program(name: string): string {
  return join(import.meta.dirname, 'peers', name);
}

/** Published models whose weights, gradients and moments fit into the memory that machines have on which the peers are measured. */
const TRAINED_IN_FULL: readonly Shape[] = ['qwen2.5-0.5b'];

/** A step of one row, in the shape of a published model. */
function publishedPairs(shape: Shape, precision: string): Pair[] {
  const config = join(work, `${shape}.json`);
  writeFileSync(config, JSON.stringify(configJson(shape)));
  const given = ['--precision', precision, '--rows', '1', '--length', '256'];
  const step = (method: string): Pair => ({
    name: `step of ${shape}, ${method === 'lora' ? 'LoRA' : 'full'} ${precision}, 1 × 256`,
    peer: `transformers${method === 'lora' ? ' + PEFT' : ''}`,
    ours: ['bench/step.ts', '--method', method, '--shape', shape, ...given],
    theirs: ['peft_step.py', '--method', method, '--config', config, ...given],
  });
  return [step('lora'), ...(precision === 'f32' && TRAINED_IN_FULL.includes(shape) ? [step('full')] : [])];
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

const run = (command: string, args: string[]): Result => JSON.parse(lastLineOf([command, ...args])) as Result;

const speed = ({ supervisedPerSecond, tokensPerSecond }: Result): number => supervisedPerSecond ?? tokensPerSecond;

function compare({ name, peer, ours, theirs }: Pair) {
  const rounds = Array.from({ length: Number(options.rounds) }, () => {
    const [graft, other] = [run(process.execPath, ['--import', 'tsx', ...ours]), run(python, [program(theirs[0]!), ...theirs.slice(1)])];
    console.error(
      `${name} against ${peer}: ${speed(graft).toFixed(0)} to ${speed(other).toFixed(0)} tokens/s, ${graft.peakMemoryMb.toFixed(0)} to ${other.peakMemoryMb.toFixed(0)} MB`,
    );
    return { graft, other };
  });
  const medianOf = (pick: (round: (typeof rounds)[number]) => number): number => median(rounds.map(pick));
  return {
    name,
    peer,
    tokensPerSecond: [medianOf(({ graft }) => speed(graft)), medianOf(({ other }) => speed(other))] as const,
    faster: medianOf(({ graft, other }) => speed(graft) / speed(other)),
    memoryMb: [medianOf(({ graft }) => graft.peakMemoryMb), medianOf(({ other }) => other.peakMemoryMb)] as const,
    memory: medianOf(({ graft, other }) => graft.peakMemoryMb / other.peakMemoryMb),
    utilisation: rounds[0]!.graft.utilisation === undefined ? null : medianOf(({ graft }) => graft.utilisation!),
  };
}

const HEAD = ['', 'against', 'tokens/s', 'faster', 'peak memory', 'memory', 'of the matmul peak', 'rounds', 'on'];
/** What is compared, and on which machine. */
const pairOf = (row: string): string => {
  const cells = row.split('|');
  return [...cells.slice(1, 3), cells.at(-2)].join('|');
};
const isRow = (line: string): boolean => line.startsWith('| ') && line.includes('×');

/** Replaces the rows of the measured pairs on this machine in the page's table; all other rows stay. */
function writeRows(measured: string): void {
  const rows = (page: string) =>
    page
      .split('\n')
      .filter(isRow)
      .map((row) => [pairOf(row), row] as const);
  const merged = new Map([...rows(readResult('peers')), ...rows(measured)]);
  const head = measured.split('\n').slice(0, 2);
  writeResult('peers', [...head, ...merged.values(), '', 'Medians of the rounds. Chats count supervised tokens.'].join('\n'));
}

try {
  const shapes = options.shapes.split(',').map(shapeOf);
  const chosen = shapes.flatMap((shape) =>
    options.precision.split(',').flatMap((precision) => (shape === SMOLLM2_135M ? pairs(precision) : publishedPairs(shape, precision))),
  );
  const results = chosen.filter(({ name, peer }) => `${name} ${peer}`.includes(options.only)).map(compare);
  const rows = results.map(({ name, peer, tokensPerSecond: [ours, theirs], faster, memoryMb: [mb, theirMb], memory, utilisation }) => {
    const rates = `${ours.toFixed(0)} to ${theirs.toFixed(0)}`;
    const sizes = `${(mb / 1000).toFixed(1)} to ${(theirMb / 1000).toFixed(1)} GB`;
    const peak = utilisation === null ? '' : utilisation.toFixed(2);
    return [
      name,
      peer,
      rates,
      `**${faster.toFixed(2)}×**`,
      sizes,
      `**${memory.toFixed(2)}×**`,
      peak,
      options.rounds,
      `${thisMachine()}${options.avx2 ? ', kept to AVX2' : ''}`,
    ];
  });
  const measured = table(HEAD, rows);
  console.log(measured);
  if (options.write) writeRows(measured);
  console.log(JSON.stringify({ bench: 'peers', rounds: Number(options.rounds), results }));
} finally {
  rmSync(work, { recursive: true, force: true });
}
