/** Generates from one base model and its adapters. Each step computes the whole text of one sequence again; sequences take turns. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChatMessage } from '../../../src/formats/examples.ts';
import type { JsonValue } from '../../../src/formats/json-value.ts';
import { CHAT_TEMPLATE_FILE } from '../../../src/formats/model-files.ts';
import type { CompiledModel } from '../compiled/compiled-model.ts';
import { openForInference } from '../compiled/open-model.ts';
import { ChatTemplate } from '../data/template/chat-template.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { yieldToEventLoop } from '../evaluate.ts';
import type { ConversationOptions, GeneratedPiece, GeneratedText, GenerationModel, GenerationModelOptions, GenerationRequest } from './contract.ts';
import { Sequence } from './sequence.ts';

/** Sequences that take turns, unless the caller says otherwise. */
const DEFAULT_SLOTS = 8;
const F32_BYTES = 4;

interface Tuned {
  model: CompiledModel;
  template: ChatTemplate | null;
}

interface Waiting {
  sequence: Sequence;
  signal: AbortSignal | undefined;
  resolve(text: GeneratedText): void;
  reject(reason: unknown): void;
}

/** @throws Refusal for whatever is wrong with the directory */
export async function openGenerationModel(options: GenerationModelOptions): Promise<GenerationModel> {
  const tokenizer = await Tokenizer.open(options.modelDir);
  const template = await ChatTemplate.open(tokenizer, new Date());
  return new TurnTaking(options, { tokenizer, template });
}

class TurnTaking implements GenerationModel {
  readonly contextTokens: number;
  readonly vocabularySize: number;
  readonly #options: GenerationModelOptions;
  readonly #tokenizer: Tokenizer;
  readonly #base: Tuned;
  readonly #adapters = new Map<string, Tuned>();
  readonly #active: Waiting[] = [];
  readonly #waiting: Waiting[] = [];
  #isRunning = false;
  #isDisposed = false;

  constructor(options: GenerationModelOptions, { tokenizer, template }: { tokenizer: Tokenizer; template: ChatTemplate | null }) {
    const { modelDir, precision = 'f32' } = options;
    this.#options = options;
    this.#tokenizer = tokenizer;
    this.#base = { model: openForInference({ modelDir, precision }), template };
    const { maxPositionTokens, vocabSize } = this.#base.model.config;
    this.contextTokens = Math.min(options.contextTokens ?? maxPositionTokens, maxPositionTokens);
    this.vocabularySize = vocabSize;
  }

  async addAdapter(name: string, adapterDir: string): Promise<void> {
    const { modelDir, precision = 'f32' } = this.#options;
    const source = await readFile(join(adapterDir, CHAT_TEMPLATE_FILE), 'utf8').catch(() => undefined);
    const template = source === undefined ? this.#base.template : await ChatTemplate.open(this.#tokenizer, new Date(), { source });
    const model = openForInference({ modelDir, adapterDir, precision });
    this.removeAdapter(name);
    this.#adapters.set(name, { model, template });
  }

  removeAdapter(name: string): void {
    const tuned = this.#adapters.get(name);
    this.#adapters.delete(name);
    tuned?.model.dispose();
  }

  memoryBytes(): number {
    return [this.#base, ...this.#adapters.values()].reduce((sum, { model }) => sum + model.totalParameters * F32_BYTES, 0);
  }

  async conversation(
    messages: readonly Pick<ChatMessage, 'role' | 'content' | 'extra'>[],
    { adapter, tools, chatTemplateKwargs }: ConversationOptions,
  ): Promise<Int32Array> {
    const { template } = this.#tuned(adapter);
    if (template === null) return this.tokens(messages.at(-1)?.content ?? '');
    const whole = messages.map((message): ChatMessage => ({ ...message, weight: 1 }));
    const kwargs = chatTemplateKwargs === undefined ? {} : { kwargs: chatTemplateKwargs };
    const { text } = template.render(whole, { tools: tools as JsonValue[] | null, addGenerationPrompt: true, ...kwargs });
    return (await this.#tokenizer.encode(text, { addSpecialTokens: false })).ids;
  }

  async tokens(text: string): Promise<Int32Array> {
    return (await this.#tokenizer.encode(text, { addSpecialTokens: true })).ids;
  }

  generate(request: GenerationRequest, options: { onPiece?: (piece: GeneratedPiece) => void; signal?: AbortSignal } = {}): Promise<GeneratedText> {
    return new Promise((resolve, reject) => {
      this.#tuned(request.adapter);
      const { contextTokens, vocabularySize } = this;
      const sequence = new Sequence(request, { tokenizer: this.#tokenizer, contextTokens, vocabularySize, onPiece: options.onPiece });
      this.#waiting.push({ sequence, signal: options.signal, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  dispose(): void {
    this.#isDisposed = true;
    for (const { reject } of [...this.#active.splice(0), ...this.#waiting.splice(0)]) reject(new Error('the model was closed'));
    for (const name of [...this.#adapters.keys()]) this.removeAdapter(name);
    this.#base.model.dispose();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#active.length + this.#waiting.length > 0) {
      this.#active.push(...this.#waiting.splice(0, (this.#options.slots ?? DEFAULT_SLOTS) - this.#active.length));
      for (const one of [...this.#active]) if ((await this.#step(one)) && !this.#isDisposed) this.#active.splice(this.#active.indexOf(one), 1);
      await yieldToEventLoop();
    }
    this.#isRunning = false;
  }

  /** @returns whether the sequence is over */
  async #step({ sequence, signal, resolve, reject }: Waiting): Promise<boolean> {
    if (this.#isDisposed) return true;
    try {
      signal?.throwIfAborted();
      if (sequence.result === null) {
        const { model } = this.#tuned(sequence.request.adapter);
        await sequence.take(model.nextTokenLogits(Int32Array.from(sequence.tokens)));
      }
      if (sequence.result !== null) resolve(sequence.result);
      return sequence.result !== null;
    } catch (error) {
      reject(error);
      return true;
    }
  }

  #tuned(adapter: string | null): Tuned {
    const tuned = adapter === null ? this.#base : this.#adapters.get(adapter);
    if (tuned === undefined) throw new Error(`there is no adapter ${adapter}`);
    return tuned;
  }
}
