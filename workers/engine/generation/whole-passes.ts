/** Continues texts by computing each of them whole for every token: on devices for which the engine has no kernels of its own. */
import type { Precision } from '../../../src/formats/hyperparameters.ts';
import type { CompiledModel } from '../compiled/compiled-model.ts';
import { openForInference } from '../compiled/open-model.ts';
import type { NewTokens, TokenPasses } from './token-passes.ts';

const F32_BYTES = 4;

export class WholePasses implements TokenPasses {
  readonly config: CompiledModel['config'];
  readonly readTokens = Number.POSITIVE_INFINITY;
  readonly #options: { modelDir: string; precision: Precision };
  readonly #base: CompiledModel;
  readonly #adapters = new Map<number, CompiledModel>();
  #nextAdapter = 0;

  constructor(options: { modelDir: string; precision: Precision }) {
    this.#options = options;
    this.#base = openForInference(options);
    this.config = this.#base.config;
  }

  read({ tokens, adapter }: NewTokens, end: number): Float32Array {
    const model = adapter === null ? this.#base : this.#adapters.get(adapter)!;
    return model.nextTokenLogits(Int32Array.from(tokens.slice(0, end)));
  }

  next(texts: readonly NewTokens[]): Float32Array[] {
    return texts.map((text) => this.read(text, text.tokens.length));
  }

  isOutdated(): boolean {
    return false;
  }

  release(): void {}

  addAdapter(adapterDir: string): number {
    this.#adapters.set(this.#nextAdapter, openForInference({ ...this.#options, adapterDir }));
    return this.#nextAdapter++;
  }

  removeAdapter(adapter: number): void {
    this.#adapters.get(adapter)?.dispose();
    this.#adapters.delete(adapter);
  }

  memoryBytes(): number {
    return [this.#base, ...this.#adapters.values()].reduce((sum, { totalParameters }) => sum + totalParameters * F32_BYTES, 0);
  }

  dispose(): void {
    for (const adapter of [...this.#adapters.keys()]) this.removeAdapter(adapter);
    this.#base.dispose();
  }
}
