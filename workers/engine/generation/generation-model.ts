/** Generates from one base model and its adapters, several sequences at once: they join and leave between steps. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChatMessage } from '../../../src/formats/examples.ts';
import type { JsonValue } from '../../../src/formats/json-value.ts';
import type { ModelConfig } from '../../../src/formats/model-config.ts';
import { CHAT_TEMPLATE_FILE } from '../../../src/formats/model-files.ts';
import { ChatTemplate } from '../data/template/chat-template.ts';
import { Tokenizer } from '../data/tokenizer.ts';
import { rotariesOf } from '../model/token-grid.ts';
import { backend } from '../tensorflow/backend.ts';
import { type AnswerGrammar, AnswerGrammars } from './answer-grammar.ts';
import { CachedPasses } from './cached-passes.ts';
import type { ConversationOptions, GeneratedPiece, GeneratedText, GenerationModel, GenerationModelOptions, GenerationRequest } from './contract.ts';
import { type HeldAdapter, Schedule } from './schedule.ts';
import { Sequence } from './sequence.ts';
import type { TokenPasses } from './token-passes.ts';
import { WholePasses } from './whole-passes.ts';

/** Sequences that are continued at once, unless the caller says otherwise. */
const DEFAULT_SLOTS = 8;

interface NamedAdapter extends HeldAdapter {
  template: ChatTemplate | null;
}

/** @throws Refusal for whatever is wrong with the directory */
export async function openGenerationModel(options: GenerationModelOptions): Promise<GenerationModel> {
  const { modelDir, precision = 'f32' } = options;
  const tokenizer = await Tokenizer.open(modelDir);
  const template = await ChatTemplate.open(tokenizer, new Date());
  const passes = backend.isUsingGpuDevice ? new WholePasses({ modelDir, precision }) : new CachedPasses({ modelDir, precision });
  return new Model(options, { tokenizer, template, passes });
}

interface ModelParts {
  tokenizer: Tokenizer;
  template: ChatTemplate | null;
  passes: TokenPasses;
}

interface Generating {
  onPiece: ((piece: GeneratedPiece) => void) | undefined;
  signal: AbortSignal | undefined;
  grammar: AnswerGrammar | null;
}

class Model implements GenerationModel {
  readonly contextTokens: number;
  readonly vocabularySize: number;
  readonly #tokenizer: Tokenizer;
  readonly #template: ChatTemplate | null;
  readonly #passes: TokenPasses;
  readonly #schedule: Schedule;
  readonly #grammars: AnswerGrammars;
  readonly #adapters = new Map<string, NamedAdapter>();

  constructor({ contextTokens, slots = DEFAULT_SLOTS }: GenerationModelOptions, { tokenizer, template, passes }: ModelParts) {
    const context = contextOf(passes.config);
    this.contextTokens = Math.min(contextTokens ?? context, context);
    this.vocabularySize = passes.config.vocabSize;
    this.#tokenizer = tokenizer;
    this.#template = template;
    this.#passes = passes;
    this.#schedule = new Schedule(passes, slots);
    this.#grammars = new AnswerGrammars(tokenizer, this.vocabularySize);
  }

  async addAdapter(name: string, adapterDir: string): Promise<void> {
    const source = await readFile(join(adapterDir, CHAT_TEMPLATE_FILE), 'utf8').catch(() => undefined);
    const template = source === undefined ? this.#template : await ChatTemplate.open(this.#tokenizer, new Date(), { source });
    const number = this.#passes.addAdapter(adapterDir);
    this.removeAdapter(name);
    this.#adapters.set(name, { number, uses: 1, template });
  }

  removeAdapter(name: string): void {
    const adapter = this.#adapters.get(name);
    if (adapter === undefined) return;
    this.#adapters.delete(name);
    this.#schedule.stopUsing(adapter);
  }

  memoryBytes(): number {
    return this.#passes.memoryBytes();
  }

  async conversation(
    messages: readonly Pick<ChatMessage, 'role' | 'content' | 'extra'>[],
    { adapter, tools, chatTemplateKwargs }: ConversationOptions,
  ): Promise<Int32Array> {
    const template = adapter === null ? this.#template : this.#named(adapter).template;
    if (template === null) return this.tokens(messages.at(-1)?.content ?? '');
    const whole = messages.map((message): ChatMessage => ({ ...message, weight: 1 }));
    const kwargs = chatTemplateKwargs === undefined ? {} : { kwargs: chatTemplateKwargs };
    const { text } = template.render(whole, { tools: tools as JsonValue[] | null, addGenerationPrompt: true, ...kwargs });
    return (await this.#tokenizer.encode(text, { addSpecialTokens: false })).ids;
  }

  async tokens(text: string): Promise<Int32Array> {
    return (await this.#tokenizer.encode(text, { addSpecialTokens: true })).ids;
  }

  async generate(
    request: GenerationRequest,
    { onPiece, signal }: { onPiece?: (piece: GeneratedPiece) => void; signal?: AbortSignal } = {},
  ): Promise<GeneratedText> {
    const grammar = request.jsonSchema === null ? null : await this.#grammars.begin(request.jsonSchema);
    try {
      return await this.#generated(request, { onPiece, signal, grammar });
    } finally {
      grammar?.dispose();
    }
  }

  #generated(request: GenerationRequest, { onPiece, signal, grammar }: Generating): Promise<GeneratedText> {
    const adapter = request.adapter === null ? null : this.#named(request.adapter);
    const { vocabularySize } = this;
    const contextTokens = this.contextTokens - (adapter === null ? 0 : this.#passes.virtualTokens(adapter.number));
    const sequence = new Sequence(request, { tokenizer: this.#tokenizer, contextTokens, vocabularySize, grammar, onPiece });
    return this.#schedule.add(sequence, { adapter, signal });
  }

  dispose(): void {
    this.#schedule.end(new Error('the model was closed'));
    this.#adapters.clear();
    this.#passes.dispose();
  }

  #named(name: string): NamedAdapter {
    const adapter = this.#adapters.get(name);
    if (adapter === undefined) throw new Error(`there is no adapter ${name}`);
    return adapter;
  }
}

/** Dynamic scaling begins where the context of config.json ends, and stretches it by its factor. */
function contextOf(config: ModelConfig): number {
  const factors = rotariesOf(config).map(({ scaling }) => (scaling?.type === 'dynamic' ? scaling.factor : 1));
  return Math.floor(config.maxPositionTokens * Math.max(1, ...factors));
}
