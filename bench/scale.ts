/**
 * `npm run bench:scale -- [--only length|size|rank] [--precision f32|bf16] [--steps 6] [--rounds 1] [--plot FILE] [--write]`: measures how the time
 * and peak memory of a LoRA step grow with sequence length, model size and rank, varying one at a time. Prints a table and one JSON line, and draws
 * bench/scale.svg, for which it first makes the peers' Python environment; with --only it draws only if --plot names a file. Each round measures all
 * points in turn, and the medians of the rounds are printed: with several rounds, the drift of a shared machine does not look like growth.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pythonEnvironment } from '../reference/python/environment.ts';
import { measured, median } from './measures.ts';
import { table, thisMachine, writeResult } from './results-page.ts';
import { SHAPES, type Shape, SMOLLM2_135M } from './smollm-shapes.ts';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    steps: { type: 'string', default: '6' },
    rounds: { type: 'string', default: '1' },
    plot: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});
const { precision } = options;
if (!(Number(options.rounds) >= 1)) throw new Error(`--rounds is "${options.rounds}"; it takes 1 or more`);
if (!(Number(options.steps) >= 2))
  throw new Error(`--steps is "${options.steps}"; it takes 2 or more, because the first step, which includes preparation, does not count`);

interface Point {
  shape: Shape;
  length: number;
  rank: number;
}

/** The numbers to take from `bench:step`. */
const MEASURES = ['parameters', 'stepSeconds', 'utilisation', 'peakMemoryMb'] as const;
type Measured = Record<(typeof MEASURES)[number], number>;

/** The point that all axes share: a step of a few seconds on two cores. Points have one row, so that memory grows with the sequence alone. */
const BASE: Point = { shape: SMOLLM2_135M, length: 512, rank: 16 };
const AXES = {
  length: [128, 256, 512, 1024, 2048].map((length): Point => ({ ...BASE, length })),
  size: (Object.keys(SHAPES) as Shape[]).map((shape): Point => ({ ...BASE, shape })),
  rank: [4, 8, 16, 32, 64, 128].map((rank): Point => ({ ...BASE, rank })),
};
type Axis = keyof typeof AXES;

function chosenAxes(only: string | undefined): Axis[] {
  if (only === undefined) return Object.keys(AXES) as Axis[];
  if (!Object.hasOwn(AXES, only)) throw new Error(`--only is "${only}"; it takes ${Object.keys(AXES).join(', ')}`);
  return [only as Axis];
}

const measure = ({ shape, length, rank }: Point): Measured =>
  measured<Measured>('step.ts', { shape, length, rank, rows: 1, steps: options.steps, precision });

/** Measures each point once per round, although the shared one is on all axes. @returns medians by the points' keys */
function measureAll(points: readonly Point[]): Map<string, Measured> {
  const distinct = new Map(points.map((point) => [keyOf(point), { point, runs: [] as Measured[] }]));
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const [key, { point, runs }] of distinct) {
      const run = measure(point);
      runs.push(run);
      console.error(`${key}: ${run.stepSeconds.toFixed(2)} s, ${run.peakMemoryMb.toFixed(0)} MB`);
    }
  }
  const medians = (runs: Measured[]) => Object.fromEntries(MEASURES.map((name) => [name, median(runs.map((run) => run[name]))])) as Measured;
  return new Map([...distinct].map(([key, { runs }]) => [key, medians(runs)]));
}

const keyOf = ({ shape, length, rank }: Point): string => `${shape}, ${length} tokens, rank ${rank}`;

function row(axis: string, { parameters, length, rank, stepSeconds, utilisation, peakMemoryMb }: Point & Measured): string[] {
  const size = `${(parameters / 1e6).toFixed(0)}M`;
  const costs = [stepSeconds.toFixed(2), (length / stepSeconds).toFixed(0), `${(peakMemoryMb / 1000).toFixed(2)} GB`, utilisation.toFixed(2)];
  return [axis, size, String(length), String(rank), ...costs];
}

const axes = chosenAxes(options.only);
const plot = options.plot ?? (options.only === undefined ? join(import.meta.dirname, 'scale.svg') : null);
// Made before measuring, so that a machine that cannot make it fails at once.
const python = plot === null ? null : await pythonEnvironment({ extraRequirements: join(import.meta.dirname, 'peers/requirements.txt') });

const medians = measureAll(axes.flatMap((axis) => AXES[axis]));
const points = Object.fromEntries(axes.map((axis) => [axis, AXES[axis].map((point) => ({ ...point, ...medians.get(keyOf(point))! }))]));
const rows = Object.entries(points).flatMap(([axis, along]) => along.map((point) => row(axis, point)));
const printed = table(['varied', 'parameters', 'length', 'rank', 's/step', 'tokens/s', 'peak memory', 'of the matmul peak'], rows);
console.log(printed);
if (options.write) writeResult('scale', `${printed}\n\nMeasured on ${thisMachine()} in ${precision}; medians of ${options.rounds} rounds.`);
const result = JSON.stringify({ bench: 'scale', precision, machine: thisMachine(), rounds: Number(options.rounds), base: BASE, axes: points });
console.log(`\n${result}`);
if (python !== null && plot !== null)
  execFileSync(python, [join(import.meta.dirname, 'plot_scale.py'), plot], { input: result, stdio: ['pipe', 2, 2] });
