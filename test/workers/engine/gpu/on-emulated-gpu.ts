/** Runs models with the kernels for GPUs on the emulated CUDA (emulated-cuda.cc), which must be in LD_LIBRARY_PATH, and prints what comes out. */
import { readReference, referenceBatch, referencePath } from '../../../../reference/fixtures.ts';
import { gradientsDifference, lossDifference, withModel } from '../../../../reference/measures.ts';
import type { Quantization } from '../../../../src/formats/quantization.ts';
import { resolveTuning } from '../../../../src/formats/tuning/tuning.ts';
import { openForInference, openForTraining } from '../../../../workers/engine/compiled/open-model.ts';
import { type Attribute, Graph } from '../../../../workers/engine/compiled/recording/graph.ts';
import { readAdapterConfig } from '../../../../workers/engine/io/adapter.ts';
import { backend } from '../../../../workers/engine/tensorflow/backend.ts';
import { withAdapter } from '../../../../workers/engine/tuning/methods.ts';

const KERNELS = [
  ...['GraftFusedRows', 'GraftQuantizedProduct', 'GraftAttention', 'GraftAttentionGradient', 'GraftExpertProducts', 'GraftExpertOuter'],
  ...['GraftDeltaRule', 'GraftDeltaRuleGradient', 'GraftStateSpace', 'GraftStateSpaceGradient', 'GraftAddOuter'],
];
const used = new Set<string>();
backend.isUsingGpuDevice = true;
const { add } = Graph.prototype;
Graph.prototype.add = function (this: Graph, ...[op, attributes, ...rest]: Parameters<typeof add>) {
  if (!KERNELS.includes(op)) return add.call(this, op, attributes, ...rest);
  used.add(op);
  return add.call(this, op, { ...attributes, _kernel: { kind: 'string', value: 'gpu' } satisfies Attribute }, ...rest);
};

type Where = [kind: string, name: string];

/** @param of the values that PEFT computed. @returns the differences from them with its adapter */
function adapted(
  where: Where,
  { quantization = null, of = [...where, 'adapters', 'all-linear'] }: { quantization?: Quantization | null; of?: string[] } = {},
) {
  const modelDir = referencePath(...where, 'model');
  const adapterDir = referencePath(...where, 'adapters', 'all-linear', 'adapter');
  const tuning = readAdapterConfig(adapterDir);
  const batch = referenceBatch(where[1], where[0]);
  return withModel(
    () => withAdapter(openForTraining({ modelDir, tuning, seed: 0, weightDecay: 0, quantization }), tuning, adapterDir),
    (model) => ({ loss: lossDifference(model, batch, of), gradients: gradientsDifference(model, batch, [...of, 'gradients.safetensors']) }),
  );
}

function whole([kind, name]: Where) {
  const choices = { modelDir: referencePath(kind, name, 'model'), tuning: resolveTuning({ type: 'full' }), seed: 0, weightDecay: 0 };
  return withModel(
    () => openForTraining(choices),
    (model) => ({ gradients: gradientsDifference(model, referenceBatch(name, kind), [kind, name, 'full-gradients.safetensors']) }),
  );
}

const llama: Where = ['cases', 'llama-gqa-tied'];
const bf16 = withModel(
  () => openForInference({ modelDir: referencePath(...llama, 'model'), precision: 'bf16' }),
  (model) => {
    const { loss, weight } = model.evaluate(referenceBatch('llama-gqa-tied'));
    return Math.abs(loss / weight / readReference<{ loss: number }>(...llama, 'expected.json').loss - 1);
  },
);
const differences = {
  llama: adapted(llama),
  'gemma2, with caps and windows': adapted(['families', 'gemma2']),
  'gpt-oss, with sinks and experts': adapted(['families', 'gpt-oss']),
  'qwen3.5, with delta nets': adapted(['families', 'qwen3.5']),
  'granite4, with Mamba layers': adapted(['families', 'granite4-hybrid']),
  'granite4 with experts, all weights': whole(['families', 'granite4-experts']),
  'llama in NF4': adapted(llama, { quantization: 'nf4', of: ['quantization', 'llama-nf4'] }),
  'gpt2 in int8': adapted(['families', 'gpt2'], { quantization: 'int8', of: ['quantization', 'gpt2-int8'] }),
  'qwen3-moe, all weights': whole(['families', 'qwen3-moe']),
};
console.log(JSON.stringify({ differences, bf16, unused: KERNELS.filter((kernel) => !used.has(kernel)) }));
