/** PEFT adapter directories. */
import type { TunedModel } from '../tuning/tuned-model.ts';

/** @returns the file names written */
export function saveAdapter(_model: TunedModel, dir: string, _options: { baseModelName: string }): string[] {
  throw new Error(`not built: ${dir}`);
}

/** Sets the trainable weights to those of an adapter directory of the same shape. */
export function loadAdapter(_model: TunedModel, dir: string): void {
  throw new Error(`not built: ${dir}`);
}
