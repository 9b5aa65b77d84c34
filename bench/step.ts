/**
 * `npm run bench:step -- --method lora|full --rows 4 --length 256 --steps 6 [--rank 16] [--quantization nf4|int8] [--shape NAME [--layers N] [--vocabulary N] [--stored f32] | --model DIR]`:
 * measures the cost of a training step and prints one JSON line. Without --model the weights are random, in SmolLM2-135M's shape unless --shape names
 * another (smollm-shapes.ts, published-shapes.ts), with as many blocks and tokens as that has unless --layers and --vocabulary say otherwise.
 * Every position is learned, as in the peer's program.
 */
import { parseArgs } from 'node:util';
import { softmaxLayers } from '../src/formats/mixers.ts';
import { linearLayers } from '../src/formats/module-shapes.ts';
import { resolveTuning } from '../src/formats/tuning/tuning.ts';
import { layOut } from '../workers/engine/data/batches.ts';
import { matmulRate } from '../workers/engine/machine/matmul-rate.ts';
import { productsIn } from '../workers/engine/machine/precision.ts';
import { median, peakMemoryMb } from './measures.ts';
import { printProfile } from './print-profile.ts';
import { openBenchModel, precisionOf, quantizationOf } from './smollm.ts';
import { SMOLLM2_135M, shapeOf } from './smollm-shapes.ts';

const { values: options } = parseArgs({
  options: {
    precision: { type: 'string', default: 'f32' },
    quantization: { type: 'string', default: 'none' },
    method: { type: 'string', default: 'lora' },
    rows: { type: 'string', default: '4' },
    length: { type: 'string', default: '256' },
    steps: { type: 'string', default: '6' },
    rank: { type: 'string', default: '16' },
    shape: { type: 'string', default: SMOLLM2_135M },
    layers: { type: 'string' },
    vocabulary: { type: 'string' },
    stored: { type: 'string', default: 'bf16' },
    model: { type: 'string' },
    profile: { type: 'boolean', default: false },
    'gradient-checkpointing': { type: 'boolean', default: false },
  },
});
const precision = precisionOf(options.precision);
const quantization = quantizationOf(options.quantization);
if (options.method !== 'lora' && options.method !== 'full') throw new Error(`--method is "${options.method}"; it takes lora or full`);
const [rows, length, steps, rank] = [options.rows, options.length, options.steps, options.rank].map(Number) as [number, number, number, number];

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

/** FLOPs that the maths needs: two products for each frozen matrix (forward and input gradient), three for each trained one, and causal attention. */
function usefulFlops(): number {
  const tokens = rows * length;
  const layers = [...linearLayers(config).values()];
  const linears = layers.reduce((sum, { in: input, out }) => sum + input * out, 0);
  const adapters = options.method === 'lora' ? 6 * layers.reduce((sum, { in: input, out }) => sum + rank * (input + out), 0) : 0;
  const passes = options.method === 'lora' ? 4 : 6;
  const learned = (length - 1) / length;
  const attention = 6 * softmaxLayers(config).length * config.heads * config.headSize * (length + 1);
  return tokens * (passes * linears + adapters + passes * config.hiddenSize * config.vocabSize * learned + attention);
}

const PEAK = { size: 2048, runs: 7 };
const before = matmulRate(productsIn(precision), PEAK);
const openedMs = performance.now();
let recordedMs = openedMs;
const tuning = resolveTuning(options.method === 'full' ? { type: 'full' } : { type: 'lora', r: rank, lora_alpha: 2 * rank });
const training = openBenchModel(options.model, {
  shape: shapeOf(options.shape),
  changes: { layers: numberOf(options.layers), vocabSize: numberOf(options.vocabulary) },
  stored: precisionOf(options.stored),
  tuning,
  precision,
  recorded: () => {
    recordedMs = performance.now();
  },
  quantization,
  learning: { weightDecay: 0.01, gradientCheckpointing: options['gradient-checkpointing'] },
});
const { config } = training;
const [recordSeconds, weightsSeconds] = [(recordedMs - openedMs) / 1000, (performance.now() - recordedMs) / 1000];
const loadingMb = peakMemoryMb();

const batch = layOut(
  Array.from({ length: rows }, (_, row) => [
    {
      inputIds: Int32Array.from({ length }, (_, index) => (row * 7919 + index * 104729) % config.vocabSize),
      lossWeights: new Float32Array(length).fill(1, 1),
    },
  ]),
);
const processorSeconds: number[] = [];
const seconds = Array.from({ length: steps }, (_, index) => {
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const { weight } = training.accumulate(batch, { seed: 0, step: index + 1, microBatch: 0 });
  training.update({ learningRate: 1e-4, maxNorm: 1, weight });
  const { user, system } = process.cpuUsage(before);
  processorSeconds.push((user + system) / 1e6);
  return (performance.now() - startedMs) / 1000;
});
if (options.profile) printProfile(training.profile(batch, { seed: 0, step: 1, microBatch: 0 }));
const matmulPeakGflops = median([before, matmulRate(productsIn(precision), PEAK)]);
const stepSeconds = median(seconds.slice(1));
const usefulGflops = usefulFlops() / stepSeconds / 1e9;
training.dispose();
console.log(
  JSON.stringify({
    bench: 'step',
    method: options.method,
    precision,
    quantization,
    model: options.model ?? options.shape,
    parameters: options.method === 'lora' ? training.totalParameters - training.trainableParameters : training.totalParameters,
    rows,
    length,
    rank: options.method === 'lora' ? rank : null,
    stepSeconds,
    firstStepSeconds: seconds[0],
    /** Of all cores together: beside other work on a machine, it says more than the time. */
    stepProcessorSeconds: median(processorSeconds.slice(1)),
    recordSeconds,
    weightsSeconds,
    loadingMb,
    tokensPerSecond: (rows * length) / stepSeconds,
    usefulGflops,
    matmulPeakGflops,
    utilisation: usefulGflops / matmulPeakGflops,
    peakMemoryMb: peakMemoryMb(),
  }),
);
