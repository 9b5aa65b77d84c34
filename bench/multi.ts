/**
 * `npm run bench:multi -- [--precision f32|bf16] [--length 64] [--rank 8] [--steps 8] [--rounds 3] [--write]`: measures LoRA jobs that train on one base in one
 * process against the same jobs one after the other, for 2, 4 and 8 jobs of small and large batches. Each round measures every point beside the job alone,
 * in processes of their own; the medians of the rounds are printed as a table, with ratios, and as one JSON line.
 */
import { parseArgs } from 'node:util';
import { measured, median } from './measures.ts';
import { table, thisMachine, writeResult } from './results-page.ts';

const { values: options } = parseArgs({
  options: {
    precision: { type: 'string', default: 'f32' },
    length: { type: 'string', default: '64' },
    rank: { type: 'string', default: '8' },
    steps: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const { precision, length, rank, steps } = options;
if (!(Number(options.rounds) >= 1)) throw new Error(`--rounds is "${options.rounds}"; it takes 1 or more`);
if (!(Number(steps) >= 2))
  throw new Error(`--steps is "${steps}"; it takes 2 or more, because the first, which includes preparation, does not count`);

/** Examples of a job's step: small batches, and one that fills a pass by itself at the usual length. */
const ROWS = [1, 2, 4, 16];
const JOBS = [2, 4, 8];

interface Measured {
  stepSeconds: number;
  tokensPerSecond: number;
  peakMemoryMb: number;
}

const measure = (jobs: number, rows: number): Measured => measured<Measured>('multi-round.ts', { jobs, rows, length, rank, steps, precision });

interface Point {
  rows: number;
  jobs: number;
  together: Measured[];
  alone: Measured[];
}

const points: Point[] = ROWS.flatMap((rows) => JOBS.map((jobs) => ({ rows, jobs, together: [], alone: [] })));
for (let round = 1; round <= Number(options.rounds); round++) {
  for (const rows of ROWS) {
    const alone = measure(1, rows);
    for (const point of points.filter((candidate) => candidate.rows === rows)) {
      point.alone.push(alone);
      point.together.push(measure(point.jobs, rows));
      const speed = point.together.at(-1)!.tokensPerSecond / alone.tokensPerSecond;
      console.error(`round ${round}: ${point.jobs} jobs of ${rows} examples: ${speed.toFixed(2)}×`);
    }
  }
}

const of = (runs: readonly Measured[], name: keyof Measured): number => median(runs.map((run) => run[name]));
const ratio = ({ together, alone }: Point): number => median(together.map((run, round) => run.tokensPerSecond / alone[round]!.tokensPerSecond));
const results = points.map((point) => ({
  jobs: point.jobs,
  examples: point.rows,
  aloneTokensPerSecond: of(point.alone, 'tokensPerSecond'),
  togetherTokensPerSecond: of(point.together, 'tokensPerSecond'),
  speed: ratio(point),
  aloneMemoryMb: of(point.alone, 'peakMemoryMb'),
  togetherMemoryMb: of(point.together, 'peakMemoryMb'),
}));
const gigabytes = (mb: number): string => `${(mb / 1000).toFixed(2)} GB`;
const rows = results.map((result) => [
  String(result.jobs),
  String(result.examples),
  result.aloneTokensPerSecond.toFixed(0),
  result.togetherTokensPerSecond.toFixed(0),
  `**${result.speed.toFixed(2)}×**`,
  gigabytes(result.aloneMemoryMb),
  gigabytes(result.togetherMemoryMb),
  gigabytes(result.aloneMemoryMb * result.jobs),
]);
const head = [
  'jobs',
  'examples a step',
  'tokens/s, one after the other',
  'together',
  'ratio',
  'memory of one job',
  'together',
  'of processes side by side',
];
const printed = `${table(head, rows)}\n\nExamples of ${length} tokens, rank ${rank}, ${precision}, SmolLM2-135M's shape; ${thisMachine()}; ${Number(options.rounds) === 1 ? 'one round' : `medians of ${options.rounds} rounds`}.`;
console.log(printed);
if (options.write) writeResult('multi', printed);
console.log(JSON.stringify({ bench: 'multi', machine: thisMachine(), precision, length: Number(length), rank: Number(rank), results }));
