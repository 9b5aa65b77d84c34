/**
 * `npm run bench:sft -- --data FILE [--batch-size 8] [--rank 16] [--model DIR]`: measures an epoch of supervised fine-tuning and prints one JSON
 * line. The file has a line `{input_ids, completion_mask}` for each example. Without --model, the model has SmolLM2-135M's shape and random weights.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { resolveTuning } from '../src/formats/tuning/tuning.ts';
import type { Example } from '../workers/engine/data/batch.ts';
import { microBatches, stepExamples } from '../workers/engine/data/batches.ts';
import { inMemory } from '../workers/engine/data/example-store.ts';
import { peakMemoryMb } from './measures.ts';
import { openBenchModel, precisionOf } from './smollm.ts';

const { values: options } = parseArgs({
  options: {
    data: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    'batch-size': { type: 'string', default: '8' },
    rank: { type: 'string', default: '16' },
    model: { type: 'string' },
  },
});
if (options.data === undefined) throw new Error('--data is missing: a file of {input_ids, completion_mask} lines');
const precision = precisionOf(options.precision);
const batchSize = Number(options['batch-size']);
const rank = Number(options.rank);

const examples = readFileSync(options.data, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line): Example => {
    const { input_ids: inputIds, completion_mask: weights } = JSON.parse(line) as { input_ids: number[]; completion_mask: number[] };
    return { inputIds: Int32Array.from(inputIds), lossWeights: Float32Array.from(weights) };
  });
const tuning = resolveTuning({ type: 'lora', r: rank, lora_alpha: 2 * rank });
const model = openBenchModel(options.model, { tuning, precision, learning: { weightDecay: 0 } });

const examplesOf = stepExamples(inMemory(examples), { batchSize, seed: 0 });
const startedMs = performance.now();
let supervised = 0;
let paddedTokens = 0;
for (let step = 1; step <= Math.ceil(examples.length / batchSize); step++) {
  let weight = 0;
  for (const [microBatch, batch] of [...microBatches(inMemory(examplesOf(step - 1)))].entries()) {
    weight += model.accumulate(batch, { seed: 0, step, microBatch }).weight;
    paddedTokens += batch.rows * batch.length;
  }
  model.update({ learningRate: 1e-4, maxNorm: 1, weight });
  supervised += weight;
}
const seconds = (performance.now() - startedMs) / 1000;
const tokens = examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
model.dispose();
console.log(
  JSON.stringify({
    bench: 'sft',
    precision,
    examples: examples.length,
    tokens,
    paddedTokens,
    seconds,
    tokensPerSecond: tokens / seconds,
    supervisedPerSecond: supervised / seconds,
    peakMemoryMb: peakMemoryMb(),
  }),
);
