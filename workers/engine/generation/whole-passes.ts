/** Continues texts by computing each of them whole for every token: on devices for which the engine has no kernels of its own. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { CompiledModel } from '../compiled/compiled-model.ts';
import { openForInference } from '../compiled/open-model.ts';
import { OwnModels } from './own-models.ts';
import type { NewTokens, TokenPasses } from './token-passes.ts';

const F32_BYTES = 4;

export class WholePasses implements TokenPasses {
  readonly config: CompiledModel['config'];
  readonly readTokens = Number.POSITIVE_INFINITY;
  readonly #base: CompiledModel;
  readonly #adapters: OwnModels;
  #nextAdapter = 0;

  constructor(options: { modelDir: string; precision: Precision }) {
    this.#base = openForInference(options);
    this.#adapters = new OwnModels({ ...options, most: Number.POSITIVE_INFINITY });
    this.config = this.#base.config;
  }

  read(text: NewTokens, end: number): Float32Array {
    return this.#adapters.has(text.adapter)
      ? this.#adapters.logits(text, end)
      : this.#base.nextTokenLogits(Int32Array.from(text.tokens.slice(0, end)));
  }

  next(texts: readonly NewTokens[]): Float32Array[] {
    return texts.map((text) => this.read(text, text.tokens.length));
  }

  isOutdated(): boolean {
    return false;
  }

  release(): void {}

  addAdapter(adapterDir: string): number {
    this.#adapters.add(this.#nextAdapter, adapterDir);
    return this.#nextAdapter++;
  }

  virtualTokens(adapter: number): number {
    return this.#adapters.virtualTokens(adapter);
  }

  removeAdapter(adapter: number): void {
    this.#adapters.remove(adapter);
  }

  memoryBytes(): number {
    return this.#base.totalParameters * F32_BYTES + this.#adapters.memoryBytes();
  }

  dispose(): void {
    this.#adapters.dispose();
    this.#base.dispose();
  }
}
