/** Runs models with the kernels for GPUs on the emulated CUDA (emulated-cuda.cc), which must be in LD_LIBRARY_PATH, and prints what comes out. */
import { largest, largestDifference, readReference, referenceBatch, referencePath, referenceTensors } from '../../../../reference/fixtures.ts';
import { referenceDifferences } from '../../../../reference/measures.ts';
import { resolveTuning } from '../../../../src/formats/tuning/tuning.ts';
import { openForInference, openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { type Attribute, Graph } from '../../../../workers/engine/compiled/recording/graph.ts';
import { loadLoraAdapter, readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { backend } from '../../../../workers/engine/tensorflow/backend.ts';

backend.isUsingGpuDevice = true;
process.env['TF_GRAFT_MOST_SCORES'] = '1500'; // several blocks of queries
const KERNELS: Record<string, number> = {
  GraftFusedRows: 0,
  GraftQuantizedProduct: 0,
  GraftAttention: 0,
  GraftAttentionGradient: 0,
  GraftExpertProducts: 0,
  GraftExpertOuter: 0,
  GraftDeltaRule: 0,
  GraftDeltaRuleGradient: 0,
};
const { add } = Graph.prototype;
Graph.prototype.add = function (this: Graph, ...[op, attributes, ...rest]: Parameters<typeof add>) {
  if (KERNELS[op] === undefined) return add.call(this, op, attributes, ...rest);
  KERNELS[op]++;
  return add.call(this, op, { ...attributes, _kernel: { kind: 'string', value: 'gpu' } satisfies Attribute }, ...rest);
};

const families = Object.fromEntries(
  (
    [
      ['cases', 'llama-gqa-tied'],
      ['families', 'gemma2'], // caps and windows
      ['families', 'gpt-oss'], // sinks and experts
      ['families', 'qwen3.5'], // delta nets
    ] as const
  ).map(([kind, name]) => [name, referenceDifferences([kind, name])]),
);

const adapterDir = referencePath('cases', 'llama-gqa-tied', 'adapters', 'all-linear', 'adapter');
const modelDir = referencePath('cases', 'llama-gqa-tied', 'model');
const quantized = (['nf4', 'int8'] as const).map((quantization) => {
  const model = openForTraining({ modelDir, tuning: readAdapterConfig(adapterDir), seed: 0, weightDecay: 0, quantization });
  loadLoraAdapter(model, adapterDir);
  const { loss, weight } = model.accumulate(referenceBatch('llama-gqa-tied'), { seed: 1, step: 1, microBatch: 0 });
  const wanted = readReference<{ loss: number }>('quantization', `llama-${quantization}`, 'expected.json').loss;
  const gradients = model.gradients();
  const worst = [...referenceTensors('quantization', `llama-${quantization}`, 'gradients.safetensors')].map(
    ([name, values]) => largestDifference(gradients.get(name)!.map((sum) => sum / weight), values) / largest(values),
  );
  model.dispose();
  return { loss: Math.abs(loss! / weight / wanted - 1), gradients: Math.max(...worst) };
});

/** All weights are trained, so experts have gradients too. */
const whole = openForTraining({
  modelDir: referencePath('families', 'qwen3-moe', 'model'),
  tuning: resolveTuning({ type: 'full' }),
  seed: 0,
  weightDecay: 0,
});
const { weight } = whole.accumulate(referenceBatch('qwen3-moe', 'families'), { seed: 1, step: 1, microBatch: 0 });
const sums = whole.gradients();
const full = [...referenceTensors('families', 'qwen3-moe', 'full-gradients.safetensors')].map(
  ([name, values]) => largestDifference(sums.get(name)!.map((sum) => sum / weight), values) / largest(values),
);
whole.dispose();

const [f32, bf16] = (['f32', 'bf16'] as const).map((precision) => {
  const model = openForInference({ modelDir, precision });
  const { loss, weight } = model.evaluate(referenceBatch('llama-gqa-tied'));
  model.dispose();
  return loss! / weight;
});
console.log(JSON.stringify({ families, quantized, full: Math.max(...full), bf16: Math.abs(bf16! / f32! - 1), kernels: KERNELS }));
