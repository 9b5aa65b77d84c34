/**
 * `node --import tsx bench/multi-round.ts --jobs 4 --rows 1 --length 64 --steps 6 [--rank 8] [--precision f32|bf16] [--shape …]`: times steps of several LoRA
 * jobs on one base and prints one JSON line. With --jobs 1 it is a job alone. bench/multi.ts runs it in a process of its own, because peak memory never falls.
 */
import { parseArgs } from 'node:util';
import { resolveTuning } from '../src/formats/tuning/tuning.ts';
import type { Batch } from '../workers/engine/data/batch.ts';
import { layOut } from '../workers/engine/data/batches.ts';
import type { LearningModel } from '../workers/engine/tuning/tuned-model.ts';
import { median, peakMemoryMb } from './measures.ts';
import { openBenchJobs, openBenchModel, precisionOf } from './smollm.ts';
import { SMOLLM2_135M, shapeOf } from './smollm-shapes.ts';

const { values: options } = parseArgs({
  options: {
    jobs: { type: 'string', default: '1' },
    rows: { type: 'string', default: '1' },
    length: { type: 'string', default: '64' },
    steps: { type: 'string', default: '6' },
    rank: { type: 'string', default: '8' },
    precision: { type: 'string', default: 'f32' },
    shape: { type: 'string', default: SMOLLM2_135M },
  },
});
const [count, rows, length, steps, rank] = [options.jobs, options.rows, options.length, options.steps, options.rank].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const precision = precisionOf(options.precision);
const shape = shapeOf(options.shape);
const tuning = resolveTuning({ type: 'lora', r: rank });
if (tuning.type !== 'lora') throw new Error('unreachable');

const jobs: LearningModel[] =
  count === 1
    ? [openBenchModel(undefined, { shape, tuning, precision, learning: { weightDecay: 0.01 } })]
    : openBenchJobs(undefined, count, { shape, tuning, precision });

/** Every position is learned. Jobs have different tokens. */
const batchOf = (job: number, vocabSize: number): Batch =>
  layOut(
    Array.from({ length: rows }, (_, row) => [
      {
        inputIds: Int32Array.from({ length }, (_, index) => (job * 6007 + row * 7919 + index * 104729) % vocabSize),
        lossWeights: new Float32Array(length).fill(1, 1),
      },
    ]),
  );
const batches = jobs.map(({ config }, job) => batchOf(job, config.vocabSize));

async function step(job: number, number: number): Promise<void> {
  const { weight } = await jobs[job]!.accumulate(batches[job]!, { seed: 0, step: number, microBatch: 0 });
  jobs[job]!.update({ learningRate: 1e-4, maxNorm: 1, weight });
}

const seconds: number[] = [];
for (let number = 1; number <= steps; number++) {
  const startedMs = performance.now();
  await Promise.all(jobs.map((_, job) => step(job, number)));
  seconds.push((performance.now() - startedMs) / 1000);
}
for (const job of jobs) job.dispose();
const stepSeconds = median(seconds.slice(1));
console.log(JSON.stringify({ stepSeconds, tokensPerSecond: (count * rows * length) / stepSeconds, peakMemoryMb: peakMemoryMb() }));
