/** Adapters that a pass cannot apply row by row: each has a model of its own, which computes a text whole for every token. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { virtualTokens } from '../../../src/formats/tuning/tuning.ts';
import type { CompiledModel } from '../compiled/compiled-model.ts';
import { openForInference } from '../compiled/open-model.ts';
import type { NewTokens } from './token-passes.ts';

const F32_BYTES = 4;

export class OwnModels {
  readonly #options: { modelDir: string; precision: Precision };
  /** By the adapter's number. */
  readonly #models = new Map<number, CompiledModel>();

  constructor(options: { modelDir: string; precision: Precision }) {
    this.#options = options;
  }

  /** @throws Refusal `unsupported_adapter`, `corrupt_model_file` */
  add(adapter: number, adapterDir: string): void {
    this.#models.set(adapter, openForInference({ ...this.#options, adapterDir }));
  }

  has(adapter: number | null): adapter is number {
    return adapter !== null && this.#models.has(adapter);
  }

  /** @returns [vocab], the logits after token `end` − 1 */
  logits({ tokens, adapter }: NewTokens, end: number): Float32Array {
    return this.#models.get(adapter!)!.nextTokenLogits(Int32Array.from(tokens.slice(0, end)));
  }

  /** How many virtual tokens an adapter puts before a text, which the model's context holds too. */
  virtualTokens(adapter: number): number {
    const tuning = this.#models.get(adapter)?.tuning ?? null;
    return tuning === null ? 0 : virtualTokens(tuning);
  }

  remove(adapter: number): void {
    this.#models.get(adapter)?.dispose();
    this.#models.delete(adapter);
  }

  /** Each holds its base too. */
  memoryBytes(): number {
    return [...this.#models.values()].reduce((sum, { totalParameters }) => sum + totalParameters * F32_BYTES, 0);
  }

  dispose(): void {
    for (const adapter of [...this.#models.keys()]) this.remove(adapter);
  }
}
