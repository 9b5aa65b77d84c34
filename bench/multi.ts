/**
 * `npm run bench:multi -- [--precision f32|bf16] [--lengths 16,64] [--rank 8] [--steps 8] [--rounds 3] [--write]`: measures LoRA jobs that train on one base in
 * one process against the same jobs one after the other, for 2, 4 and 8 jobs of small and large batches, of short and longer examples. Each round measures
 * every point beside the job alone, in processes of their own; the fastest of the rounds are printed as a table, with ratios, and as one JSON line, because
 * other work on a machine only slows. What sharing passes can gain at most is the speed of a single job whose pass has as many examples.
 */
import { parseArgs } from 'node:util';
import { measured } from './measures.ts';
import { table, thisMachine, writeResult } from './results-page.ts';

const { values: options } = parseArgs({
  options: {
    precision: { type: 'string', default: 'f32' },
    lengths: { type: 'string', default: '16,64' },
    rank: { type: 'string', default: '8' },
    steps: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const { precision, rank, steps } = options;
if (!(Number(options.rounds) >= 1)) throw new Error(`--rounds is "${options.rounds}"; it takes 1 or more`);
if (!(Number(steps) >= 2))
  throw new Error(`--steps is "${steps}"; it takes 2 or more, because the first, which includes preparation, does not count`);

const LENGTHS = options.lengths.split(',').map(Number);
/** Examples of a job's step: small batches, and one that fills a pass by itself at the usual length. */
const ROWS = [1, 2, 4, 16];
const JOBS = [2, 4, 8];
/** A pass of more examples is hardly faster for each of them. */
const MOST_ROWS = Math.max(...ROWS);

interface Measured {
  stepSeconds: number;
  tokensPerSecond: number;
  peakMemoryMb: number;
}

interface Point {
  length: number;
  rows: number;
  jobs: number;
  /** In each round: the jobs together, one of them alone, and one whose pass has the examples of all. */
  together: Measured[];
  alone: Measured[];
  filled: Measured[];
}

const points: Point[] = LENGTHS.flatMap((length) =>
  ROWS.flatMap((rows) => JOBS.map((jobs) => ({ length, rows, jobs, together: [], alone: [], filled: [] }))),
);
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const length of LENGTHS) {
    const measure = (jobs: number, rows: number): Measured => measured<Measured>('multi-round.ts', { jobs, rows, length, rank, steps, precision });
    const ofLength = points.filter((point) => point.length === length);
    const filledRows = ({ jobs, rows }: Point): number => Math.min(jobs * rows, MOST_ROWS);
    const ofOne = new Map([...new Set([...ROWS, ...ofLength.map(filledRows)])].map((rows) => [rows, measure(1, rows)]));
    for (const point of ofLength) {
      point.alone.push(ofOne.get(point.rows)!);
      point.filled.push(ofOne.get(filledRows(point))!);
      point.together.push(measure(point.jobs, point.rows));
      const speed = point.together.at(-1)!.tokensPerSecond / point.alone.at(-1)!.tokensPerSecond;
      console.error(`round ${round}: ${point.jobs} jobs of ${point.rows} examples of ${length} tokens: ${speed.toFixed(2)}×`);
    }
  }
}

const fastest = (runs: readonly Measured[]): Measured => runs.reduce((best, run) => (run.tokensPerSecond > best.tokensPerSecond ? run : best));
const faster = (runs: readonly Measured[], alone: readonly Measured[]): number => fastest(runs).tokensPerSecond / fastest(alone).tokensPerSecond;
const results = points.map(({ length, rows, jobs, together, alone, filled }) => ({
  jobs,
  examples: rows,
  length,
  aloneTokensPerSecond: fastest(alone).tokensPerSecond,
  togetherTokensPerSecond: fastest(together).tokensPerSecond,
  speed: faster(together, alone),
  possible: faster(filled, alone),
  aloneMemoryMb: fastest(alone).peakMemoryMb,
  togetherMemoryMb: fastest(together).peakMemoryMb,
}));
const gigabytes = (mb: number): string => `${(mb / 1000).toFixed(2)} GB`;
const rows = results.map((result) => [
  String(result.jobs),
  `${result.examples} × ${result.length}`,
  result.aloneTokensPerSecond.toFixed(0),
  result.togetherTokensPerSecond.toFixed(0),
  `**${result.speed.toFixed(2)}×**`,
  `${result.possible.toFixed(2)}×`,
  gigabytes(result.aloneMemoryMb),
  gigabytes(result.togetherMemoryMb),
  gigabytes(result.aloneMemoryMb * result.jobs),
]);
const head = [
  'jobs',
  'examples × tokens of a step',
  'tokens/s, one after the other',
  'together',
  'ratio',
  'one job with the examples of all',
  'memory of one job',
  'together',
  'of processes side by side',
];
const rounds = Number(options.rounds) === 1 ? 'one round' : `the fastest of ${options.rounds} rounds`;
const printed = `${table(head, rows)}\n\nRank ${rank}, ${precision}, SmolLM2-135M's shape; ${thisMachine()}; ${rounds}.`;
console.log(printed);
if (options.write) writeResult('multi', printed);
console.log(JSON.stringify({ bench: 'multi', machine: thisMachine(), precision, rank: Number(rank), results }));
