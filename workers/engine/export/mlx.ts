/** An adapter as mlx-lm reads it: `adapters.safetensors` and an `adapter_config.json` of its own. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ADAPTER_CONFIG_FILE } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import { transposed } from '../gguf/transforms.ts';
import { writeFileWhole } from '../io/files.ts';
import { writeSafetensors } from '../io/safetensors.ts';
import { readModelConfig } from '../model/weights.ts';
import { evenlyScaled, openLowRankAdapter } from './merged-weights.ts';

/** Families whose modules mlx-lm names as their checkpoints do. */
const FAMILIES = ['llama', 'mistral', 'smollm3', 'qwen2', 'qwen3', 'gemma', 'gemma2', 'gemma3_text', 'phi3', 'olmo2'];

/** @throws Refusal `unsupported_export` for a family that mlx-lm names otherwise */
export function exportMlxAdapter({ modelDir, adapterDir }: { modelDir: string; adapterDir: string }, dir: string): void {
  const config = readModelConfig(modelDir);
  if (!FAMILIES.includes(config.modelType))
    throw new Refusal('unsupported_export', `An adapter of a model of the type "${config.modelType}" cannot be exported for MLX`, {
      param: 'format',
      hint: `It is possible for ${FAMILIES.join(', ')}.`,
    });
  mkdirSync(dir, { recursive: true });
  const adapter = openLowRankAdapter(adapterDir, { modelDir, config });
  const { modules } = adapter;
  let r = 0;
  let scaling = 0;
  try {
    const even = evenlyScaled(adapter);
    scaling = even.scaling;
    const layers = modules.map((module) => ({ module, ...even.read(module) }));
    r = Math.max(...layers.map((layer) => layer.r));
    // mlx-lm multiplies from the left: lora_a is Aᵀ [in, r], lora_b is Bᵀ [r, out].
    const tensors = layers.flatMap(({ module, A, B, r: own }) => {
      const [input, out] = [A.length / own, B.length / own];
      // mlx-lm has one rank for all layers: smaller ones are filled up with zeros.
      const [a, b] = [new Float32Array(r * input), new Float32Array(r * out)];
      a.set(A);
      b.set(transposed(B, [out, own]));
      return [
        [`${module}.lora_a`, { shape: [input, r], data: transposed(a, [r, input]) }],
        [`${module}.lora_b`, { shape: [r, out], data: b }],
      ] as const;
    });
    writeSafetensors(join(dir, 'adapters.safetensors'), new Map(tensors), { metadata: { format: 'mlx' } });
  } finally {
    adapter.close();
  }
  const inBlock = (module: string): string => module.slice(config.names.blocks.length + 1).replace(/^\d+\./, '');
  const written = {
    fine_tune_type: 'lora',
    num_layers: config.layers,
    lora_parameters: { rank: r, scale: scaling, dropout: 0, keys: [...new Set(modules.map(inBlock))] },
  };
  writeFileWhole(join(dir, ADAPTER_CONFIG_FILE), `${JSON.stringify(written, null, 2)}\n`);
}
