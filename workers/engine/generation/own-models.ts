/** Adapters that a pass cannot apply row by row: each has a model of its own, which computes a text whole for every token. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import { virtualTokens } from '../../../src/formats/tuning/tuning.ts';
import type { CompiledModel } from '../compiled/compiled-model.ts';
import { openForInference } from '../compiled/open-model.ts';
import type { NewTokens } from './token-passes.ts';

const F32_BYTES = 4;

interface OwnModelsOptions {
  modelDir: string;
  precision: Precision;
  /** How many are open at once: each holds its base too. The one used least recently is closed, and opened again when it is needed. */
  most: number;
}

export class OwnModels {
  readonly #options: OwnModelsOptions;
  /** By the adapter's number. */
  readonly #adapters = new Map<number, { dir: string; virtualTokens: number }>();
  /** Those that are open, by the adapter's number; the last one used is the last. */
  readonly #models = new Map<number, CompiledModel>();

  constructor(options: OwnModelsOptions) {
    this.#options = options;
  }

  /** @param dir which must stay until the adapter is removed. @throws Refusal `unsupported_adapter`, `corrupt_model_file` */
  add(adapter: number, dir: string): void {
    const { tuning } = this.#open(adapter, dir);
    this.#adapters.set(adapter, { dir, virtualTokens: tuning === null ? 0 : virtualTokens(tuning) });
  }

  has(adapter: number | null): adapter is number {
    return adapter !== null && this.#adapters.has(adapter);
  }

  /** @returns [vocab], the logits after token `end` − 1 */
  logits({ tokens, adapter }: NewTokens, end: number): Float32Array {
    return this.#open(adapter!, this.#adapters.get(adapter!)!.dir).nextTokenLogits(Int32Array.from(tokens.slice(0, end)));
  }

  /** How many virtual tokens an adapter puts before a text, which the model's context holds too. */
  virtualTokens(adapter: number): number {
    return this.#adapters.get(adapter)?.virtualTokens ?? 0;
  }

  remove(adapter: number): void {
    this.#adapters.delete(adapter);
    this.#close(adapter);
  }

  memoryBytes(): number {
    return [...this.#models.values()].reduce((sum, { totalParameters }) => sum + totalParameters * F32_BYTES, 0);
  }

  dispose(): void {
    for (const adapter of [...this.#adapters.keys()]) this.remove(adapter);
  }

  #open(adapter: number, adapterDir: string): CompiledModel {
    const { most, ...options } = this.#options;
    const open = this.#models.get(adapter);
    if (open === undefined) for (const oldest of [...this.#models.keys()].slice(0, Math.max(0, this.#models.size + 1 - most))) this.#close(oldest);
    const model = open ?? openForInference({ ...options, adapterDir });
    this.#models.delete(adapter);
    this.#models.set(adapter, model);
    return model;
  }

  #close(adapter: number): void {
    this.#models.get(adapter)?.dispose();
    this.#models.delete(adapter);
  }
}
