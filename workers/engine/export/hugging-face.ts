/** A tuned model as a Hugging Face directory: the adapter merged into its base, with the base's tokenizer and configuration. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHAT_TEMPLATE_FILE, WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import { saveChatTemplate } from '../io/chat-template-file.ts';
import { saveCompanions, type WeightsDtype } from '../io/model-directory.ts';
import { type TensorReader, writeSafetensorsSlowly } from '../io/safetensors.ts';
import type { Progress } from './export.ts';
import { type MergedWeights, openMergedWeights, type TunedFiles } from './merged-weights.ts';

/** Arithmetic is f32, whatever the type is. Holds one weight at a time in memory. */
export async function exportHuggingFace(
  files: TunedFiles,
  dir: string,
  { dtype, progress }: { dtype: WeightsDtype; progress: Progress },
): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const weights = openMergedWeights(files);
  try {
    const tensors = { ...deliveredTensors(weights), copied: weights.otherTowers };
    await writeSafetensorsSlowly(join(dir, WEIGHTS_FILE), tensors, { dtype, progress });
    const written = saveCompanions(weights.config, dir, { sourceDir: files.modelDir, dtype });
    const source = ownTemplate(files);
    if (source !== null) saveChatTemplate(dir, { files: written, source });
  } finally {
    weights.close();
  }
}

/** The chat template that the adapter was trained with, if its job brought one. */
export function ownTemplate({ adapterDir }: TunedFiles): string | null {
  const path = adapterDir === null ? null : join(adapterDir, CHAT_TEMPLATE_FILE);
  return path !== null && existsSync(path) ? readFileSync(path, 'utf8') : null;
}

/** Weights that are kept while they are delivered in parts: in the order of their names, parts of two weights of a block alternate. */
const KEPT_WEIGHTS = 2;

/** A weight that is delivered in several tensors is read once for all of them. */
function deliveredTensors({ shapes, delivered, read }: MergedWeights): Pick<TensorReader, 'shapes' | 'read'> {
  const places = new Map<string, { weight: string; first: number; shape: readonly number[] }>();
  for (const weight of shapes.keys()) {
    let first = 0;
    for (const { name, shape } of delivered(weight)) {
      places.set(name, { weight, first, shape });
      first += shapeSize(shape);
    }
  }
  const kept = new Map<string, Float32Array>();
  return {
    shapes: new Map([...places].map(([name, { shape }]) => [name, shape])),
    read(name) {
      const { weight, first, shape } = places.get(name)!;
      const values = kept.get(weight) ?? read(weight);
      if (values.length === shapeSize(shape)) return values;
      kept.set(weight, values);
      for (const oldest of [...kept.keys()].slice(0, -KEPT_WEIGHTS)) kept.delete(oldest);
      return values.subarray(first, first + shapeSize(shape));
    },
  };
}
