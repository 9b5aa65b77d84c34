/** Hugging Face model directories. */
import type { TunedModel } from '../tuning/tuned-model.ts';

export interface SaveModelOptions {
  /** The base model's directory, whose config, tokenizer and chat template are copied. */
  sourceDir: string;
  dtype: 'F32' | 'F16' | 'BF16';
}

/** @returns the file names written */
export function saveModel(_model: TunedModel, dir: string, _options: SaveModelOptions): string[] {
  throw new Error(`not built: ${dir}`);
}
