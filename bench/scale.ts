/**
 * `npm run bench:scale -- [--only AXIS] [--precision f32|bf16] [--steps 6] [--rounds 1] [--plot FILE] [--write]`: measures how the time and peak memory
 * of a LoRA step grow with sequence length, model size, rank, vocabulary and rows, varying one at a time; then with very long sequences of a small model,
 * and in the shapes of published models. Of a model that does not fit into this machine, the memory is estimated. Prints a table and one JSON line, and
 * draws bench/scale.svg, for which it first makes the peers' Python environment; with --only it draws only if --plot names a file. Each round measures
 * all points in turn, and the medians of the rounds are printed: with several rounds, the drift of a shared machine does not look like growth.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pythonEnvironment } from '../reference/python/environment.ts';
import { countParameters, estimateMemory } from '../src/formats/memory-estimate.ts';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { resolveTuning } from '../src/formats/tuning/tuning.ts';
import { freeMemory } from '../workers/engine/machine/free-memory.ts';
import { measured, median } from './measures.ts';
import { PUBLISHED, type PublishedShape } from './published-shapes.ts';
import { table, thisMachine, writeResult } from './results-page.ts';
import { configJson, SHAPES, type Shape, SMOLLM2_135M } from './smollm-shapes.ts';

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
if (precision !== 'f32' && precision !== 'bf16') throw new Error(`--precision is "${precision}"; it takes f32 or bf16`);
if (!(Number(options.rounds) >= 1)) throw new Error(`--rounds is "${options.rounds}"; it takes 1 or more`);
if (!(Number(options.steps) >= 2))
  throw new Error(`--steps is "${options.steps}"; it takes 2 or more, because the first step, which includes preparation, does not count`);

interface Point {
  shape: Shape;
  length: number;
  rank: number;
  rows: number;
  /** Tokens of the vocabulary. */
  vocabulary: number;
}

/** The numbers to take from `bench:step`. */
const MEASURES = ['parameters', 'stepSeconds', 'utilisation', 'peakMemoryMb'] as const;
type Measured = Record<(typeof MEASURES)[number], number>;
/** Of a model that does not fit, the memory is estimated, and the others are NaN. */
type Known = Measured & { estimated: boolean };

const vocabularyOf = (shape: Shape): number => configJson(shape).vocab_size;
/** The point that most axes share: a step of a few seconds on two cores. It has one row, so that memory grows with the sequence alone. */
const BASE: Point = { shape: SMOLLM2_135M, length: 512, rank: 16, rows: 1, vocabulary: vocabularyOf(SMOLLM2_135M) };
const AXES = {
  length: [128, 256, 512, 1024, 2048].map((length): Point => ({ ...BASE, length })),
  size: (Object.keys(SHAPES) as (keyof typeof SHAPES)[]).map((shape): Point => ({ ...BASE, shape })),
  rank: [4, 8, 16, 32, 64, 128].map((rank): Point => ({ ...BASE, rank })),
  vocabulary: [32_768, 65_536, 131_072, 262_144].map((vocabulary): Point => ({ ...BASE, vocabulary })),
  rows: [1, 2, 4, 8].map((rows): Point => ({ ...BASE, rows })),
  long: [2048, 8192, 16_384, 32_768].map((length): Point => ({ ...BASE, shape: '11m', length })),
  published: (Object.keys(PUBLISHED) as PublishedShape[]).map((shape): Point => ({ ...BASE, shape, length: 256, vocabulary: vocabularyOf(shape) })),
};
type Axis = keyof typeof AXES;

function chosenAxes(only: string | undefined): Axis[] {
  if (only === undefined) return Object.keys(AXES) as Axis[];
  if (!Object.hasOwn(AXES, only)) throw new Error(`--only is "${only}"; it takes ${Object.keys(AXES).join(', ')}`);
  return [only as Axis];
}

/** What of the free memory a process may take, because the estimate is not exact. */
const MOST_OF_FREE = 0.9;

function measure({ shape, length, rank, rows, vocabulary }: Point): Known {
  const config = parseModelConfig(configJson(shape, { vocabSize: vocabulary }), shape);
  const tuning = resolveTuning({ type: 'lora', r: rank, lora_alpha: 2 * rank });
  const pass = { tokens: rows * length, supervisedTokens: rows * (length - 1) };
  const { total_bytes: bytes } = estimateMemory({
    config,
    tuning,
    precision: precision as 'f32' | 'bf16',
    storedInBf16: true,
    gradientCheckpointing: false,
    pass,
  });
  if (bytes > MOST_OF_FREE * freeMemory()) {
    const { total, trained } = countParameters(config, tuning);
    return { parameters: total - trained, stepSeconds: Number.NaN, utilisation: Number.NaN, peakMemoryMb: bytes / 2 ** 20, estimated: true };
  }
  return { ...measured<Measured>('step.ts', { shape, vocabulary, length, rank, rows, steps: options.steps, precision }), estimated: false };
}

/** Measures each point once per round, although the shared one is on most axes. @returns medians by the points' keys */
function measureAll(points: readonly Point[]): Map<string, Known> {
  const distinct = new Map(points.map((point) => [keyOf(point), { point, runs: [] as Known[] }]));
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const [key, { point, runs }] of distinct) {
      const run = measure(point);
      runs.push(run);
      console.error(`${key}: ${run.stepSeconds.toFixed(2)} s, ${run.peakMemoryMb.toFixed(0)} MB`);
    }
  }
  const medians = (runs: Known[]): Known => {
    const ofRuns = Object.fromEntries(MEASURES.map((name) => [name, median(runs.map((run) => run[name]))])) as Measured;
    return { ...ofRuns, estimated: runs.some(({ estimated }) => estimated) };
  };
  return new Map([...distinct].map(([key, { runs }]) => [key, medians(runs)]));
}

const keyOf = ({ shape, length, rank, rows, vocabulary }: Point): string => `${shape}, ${rows} × ${length} tokens of ${vocabulary}, rank ${rank}`;

function row(axis: string, { shape, parameters, length, rank, rows, vocabulary, estimated, ...costs }: Point & Known): string[] {
  const size = `${(parameters / 1e6).toFixed(0)}M${axis === 'published' ? `, ${shape}` : ''}`;
  const tokens = rows * length;
  const memory = `${(costs.peakMemoryMb / 1000).toFixed(2)} GB${estimated ? ', estimated' : ''}`;
  const speed = estimated ? ['–', '–'] : [costs.stepSeconds.toFixed(2), (tokens / costs.stepSeconds).toFixed(0)];
  return [axis, size, `${rows} × ${length}`, String(vocabulary), String(rank), ...speed, memory, estimated ? '–' : costs.utilisation.toFixed(2)];
}

const axes = chosenAxes(options.only);
const plot = options.plot ?? (options.only === undefined ? join(import.meta.dirname, 'scale.svg') : null);
// Made before measuring, so that a machine that cannot make it fails at once.
const python = plot === null ? null : await pythonEnvironment({ extraRequirements: join(import.meta.dirname, 'peers/requirements.txt') });

const medians = measureAll(axes.flatMap((axis) => AXES[axis]));
const points = Object.fromEntries(axes.map((axis) => [axis, AXES[axis].map((point) => ({ ...point, ...medians.get(keyOf(point))! }))]));
const rows = Object.entries(points).flatMap(([axis, along]) => along.map((point) => row(axis, point)));
const printed = table(
  ['varied', 'parameters', 'rows × length', 'vocabulary', 'rank', 's/step', 'tokens/s', 'peak memory', 'of the matmul peak'],
  rows,
);
console.log(printed);
if (options.write) writeResult('scale', `${printed}\n\nMeasured on ${thisMachine()} in ${precision}; medians of ${options.rounds} rounds.`);
const result = JSON.stringify({ bench: 'scale', precision, machine: thisMachine(), rounds: Number(options.rounds), base: BASE, axes: points });
console.log(`\n${result}`);
if (python !== null && plot !== null)
  execFileSync(python, [join(import.meta.dirname, 'plot_scale.py'), plot], { input: result, stdio: ['pipe', 2, 2] });
