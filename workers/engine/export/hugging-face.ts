/** A tuned model as a Hugging Face directory: the adapter merged into its base, with the base's tokenizer and configuration. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHAT_TEMPLATE_FILE, WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import { saveChatTemplate } from '../io/chat-template-file.ts';
import { saveCompanions, type WeightsDtype } from '../io/model-directory.ts';
import { writeSafetensorsSlowly } from '../io/safetensors.ts';
import type { Progress } from './export.ts';
import { openMergedWeights, type TunedFiles } from './merged-weights.ts';

/** Arithmetic is f32, whatever the type is. Holds one weight at a time in memory. */
export async function exportHuggingFace(
  files: TunedFiles,
  dir: string,
  { dtype, progress }: { dtype: WeightsDtype; progress: Progress },
): Promise<void> {
  mkdirSync(dir, { recursive: true });
  const weights = openMergedWeights(files);
  try {
    const nameOf = new Map([...weights.shapes.keys()].map((name) => [weights.deliveredName(name), name]));
    const tensors = {
      shapes: new Map([...nameOf].map(([delivered, name]) => [delivered, weights.shapes.get(name)!])),
      read: (delivered: string) => weights.read(nameOf.get(delivered)!),
      copied: weights.otherTowers,
    };
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
