/** A tuned model as a Hugging Face directory: the adapter merged into its base, with the base's tokenizer and configuration. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHAT_TEMPLATE_FILE, WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { shapeSize } from '../../../src/formats/shape-size.ts';
import type { WeightsDtype } from '../../../src/formats/stored-dtype.ts';
import { saveChatTemplate } from '../io/chat-template-file.ts';
import { saveCompanions } from '../io/model-directory.ts';
import { remembering } from '../io/remembering.ts';
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
  const parts = [...shapes.keys()].flatMap((weight) => {
    const ofWeight = delivered(weight);
    return ofWeight.map((part) => [part.name, { ...part, weight, isWhole: ofWeight.length === 1 }] as const);
  });
  const places = new Map(parts);
  const readInParts = remembering(KEPT_WEIGHTS, read);
  return {
    shapes: new Map(parts.map(([name, { shape }]) => [name, shape])),
    read(name) {
      const { weight, first, shape, isWhole } = places.get(name)!;
      return isWhole ? read(weight) : readInParts(weight).subarray(first, first + shapeSize(shape));
    },
  };
}
