/**
 * `npm run bench:step -- --method lora|full --rows 4 --length 256 --steps 6 [--rank 16] [--model DIR]`: what a training step costs, as one JSON line.
 * Without a model the shape is SmolLM2-135M's and the weights are random. Every position is learned, as in the peer's program.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { parseModelConfig } from '../src/formats/parse-model-config.ts';
import { resolveTuning } from '../src/formats/tuning.ts';
import { layOut } from '../workers/engine/data/batches.ts';
import { CompiledModel } from '../workers/engine/graph/compiled-model.ts';
import { linearLayers, weightShapes } from '../workers/engine/model/module-shapes.ts';
import { openWeights, readModelConfig } from '../workers/engine/model/weights.ts';
import { tf } from '../workers/engine/tensorflow.ts';
import { uniform } from '../workers/engine/tuning/random.ts';
import { printProfile } from './print-profile.ts';

const { values: asked } = parseArgs({
  options: {
    precision: { type: 'string', default: 'f32' },
    method: { type: 'string', default: 'lora' },
    rows: { type: 'string', default: '4' },
    length: { type: 'string', default: '256' },
    steps: { type: 'string', default: '6' },
    rank: { type: 'string', default: '16' },
    model: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
});
if (asked.precision !== 'f32') throw new Error(`--precision is "${asked.precision}"; the compiled step has f32 alone so far`);
if (asked.method !== 'lora' && asked.method !== 'full') throw new Error(`--method is "${asked.method}"; it takes lora or full`);
const [rows, length, steps, rank] = [asked.rows, asked.length, asked.steps, asked.rank].map(Number) as [number, number, number, number];

const SMOLLM2_135M = {
  model_type: 'llama',
  hidden_size: 576,
  intermediate_size: 1536,
  num_hidden_layers: 30,
  num_attention_heads: 9,
  num_key_value_heads: 3,
  vocab_size: 49152,
  max_position_embeddings: 2048,
  tie_word_embeddings: true,
  rms_norm_eps: 1e-6,
};
const PEAK_SIZE = 2048;

/** Median rate of a square product, GFLOP/s. */
function matmulPeak(): number {
  const [a, b] = [tf.randomNormal([PEAK_SIZE, PEAK_SIZE]), tf.randomNormal([PEAK_SIZE, PEAK_SIZE])];
  const rates = Array.from({ length: 7 }, () => {
    const startedMs = performance.now();
    tf.tidy(() => tf.matMul(a, b).slice([0, 0], [1, 1]).dataSync());
    return (2 * PEAK_SIZE ** 3) / (performance.now() - startedMs) / 1e6;
  });
  tf.dispose([a, b]);
  return median(rates);
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** What the mathematics needs and no more: frozen products forward and towards the input, adapters and trained products thrice, causal attention. */
function usefulFlops(): number {
  const tokens = rows * length;
  const layers = [...linearLayers(config).values()];
  const linears = layers.reduce((sum, { in: into, out }) => sum + into * out, 0);
  const adapters = asked.method === 'lora' ? 6 * layers.reduce((sum, { in: into, out }) => sum + rank * (into + out), 0) : 0;
  const passes = asked.method === 'lora' ? 4 : 6;
  const learned = (length - 1) / length;
  const attention = 6 * config.attention.layers.length * config.heads * config.headSize * (length + 1);
  return tokens * (passes * linears + adapters + passes * config.hiddenSize * config.vocabSize * learned + attention);
}

/** The kernel's high-water mark of this process's memory. */
const peakMemoryMb = (): number => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;

const config = asked.model === undefined ? parseModelConfig(SMOLLM2_135M, 'SmolLM2-135M') : readModelConfig(asked.model);
const shapes = weightShapes(config);
const stored = asked.model === undefined ? null : openWeights(asked.model, config);
/** Norms' are ones, all others small. */
function randomWeight(name: string): Float32Array {
  const shape = shapes.get(name)!;
  const size = shape.reduce((product, length) => product * length, 1);
  return shape.length === 1 ? new Float32Array(size).fill(1) : uniform(size, { bound: 0.035, seed: 0, name });
}

const before = matmulPeak();
const recordedMs = performance.now();
const tuning = resolveTuning(asked.method === 'full' ? { type: 'full' } : { type: 'lora', r: rank, lora_alpha: 2 * rank });
const training = new CompiledModel({ config, weightOf: stored?.read ?? randomWeight, tuning, seed: 0, learning: { weightDecay: 0.01 } });
stored?.close();
const recordSeconds = (performance.now() - recordedMs) / 1000;

const batch = layOut(
  Array.from({ length: rows }, (_, row) => [
    {
      inputIds: Int32Array.from({ length }, (_, index) => (row * 7919 + index * 104729) % config.vocabSize),
      lossMask: new Uint8Array(length).fill(1, 1),
    },
  ]),
);
const seconds = Array.from({ length: steps }, (_, index) => {
  const startedMs = performance.now();
  const { supervisedTokens } = training.accumulate(batch, { seed: 0, step: index + 1, microBatch: 0 });
  training.update({ learningRate: 1e-4, maxNorm: 1, tokens: supervisedTokens });
  return (performance.now() - startedMs) / 1000;
});
if (asked.profile) printProfile(training.profile(batch, { seed: 0, step: 1, microBatch: 0 }));
const matmulPeakGflops = median([before, matmulPeak()]);
const stepSeconds = median(seconds.slice(1));
const usefulGflops = usefulFlops() / stepSeconds / 1e9;
training.dispose();
console.log(
  JSON.stringify({
    bench: 'step',
    method: asked.method,
    precision: asked.precision,
    rows,
    length,
    stepSeconds,
    firstStepSeconds: seconds[0],
    recordSeconds,
    tokensPerSecond: (rows * length) / stepSeconds,
    usefulGflops,
    matmulPeakGflops,
    utilisation: usefulGflops / matmulPeakGflops,
    peakMemoryMb: peakMemoryMb(),
  }),
);
