/** Generates text, greedily or by sampling. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ChatMessage } from '../../src/formats/examples.ts';
import { CHAT_TEMPLATE_FILE } from '../../src/formats/model-files.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { openForInference } from './compiled/open-model.ts';
import { splitMix32 } from './data/shuffle.ts';
import { ChatTemplate } from './data/template/chat-template.ts';
import { Tokenizer } from './data/tokenizer.ts';
import { yieldToEventLoop } from './evaluate.ts';
import type { TunedModel } from './tuning/tuned-model.ts';

export interface GenerateOptions {
  maxTokens: number;
  /** 0 takes the most probable token each time. */
  temperature: number;
  /** Seed of the sampling. */
  seed: number;
}

export interface Generated {
  text: string;
  tokenIds: number[];
  /** `stop`: the model ended the text; `length`: maxTokens or the model's context length did. */
  finishReason: 'stop' | 'length';
}

/** A model opened for generation, with or without an adapter. */
export class Generator {
  private constructor(
    readonly model: TunedModel,
    readonly tokenizer: Tokenizer,
    readonly template: ChatTemplate | null,
  ) {}

  /** @throws Refusal for whatever is wrong with the directories */
  static async open({ modelDir, adapterDir }: { modelDir: string; adapterDir?: string }): Promise<Generator> {
    const tokenizer = await Tokenizer.open(modelDir);
    // An adapter that was trained with a template of its job has it beside it.
    const source = adapterDir === undefined ? undefined : await readFile(join(adapterDir, CHAT_TEMPLATE_FILE), 'utf8').catch(() => undefined);
    const template = await ChatTemplate.open(tokenizer, new Date(), { source });
    return new Generator(openForInference({ modelDir, ...(adapterDir === undefined ? {} : { adapterDir }) }), tokenizer, template);
  }

  /**
   * Continues a conversation through the chat template; without a template, continues the last message's text.
   * @param messages ending with the one to be answered
   */
  async chat(messages: readonly Pick<ChatMessage, 'role' | 'content'>[], options: GenerateOptions): Promise<Generated> {
    if (this.template === null) return this.complete(messages.at(-1)?.content ?? '', options);
    const whole = messages.map(({ role, content }): ChatMessage => ({ role, content, weight: 1, extra: new Map() }));
    const { text } = this.template.render(whole, { tools: null, addGenerationPrompt: true });
    const { ids } = await this.tokenizer.encode(text, { addSpecialTokens: false });
    return this.#continue(ids, options);
  }

  /** Continues a text. */
  async complete(prompt: string, options: GenerateOptions): Promise<Generated> {
    const { ids } = await this.tokenizer.encode(prompt, { addSpecialTokens: true });
    return this.#continue(ids, options);
  }

  dispose(): void {
    this.model.dispose();
  }

  async #continue(prompt: Int32Array, { maxTokens, temperature, seed }: GenerateOptions): Promise<Generated> {
    const limit = Math.min(prompt.length + maxTokens, this.model.config.maxPositionTokens);
    if (prompt.length === 0) throw new Refusal('invalid_prompt', 'the prompt has no tokens', { param: 'prompt', hint: 'Give at least one word.' });
    if (prompt.length >= this.model.config.maxPositionTokens)
      throw new Refusal('invalid_prompt', `the prompt has ${prompt.length} tokens; the model's context is ${this.model.config.maxPositionTokens}`, {
        param: 'prompt',
        hint: 'Shorten it: the answer needs room in the context too.',
      });
    const random = splitMix32(seed);
    const ids = [...prompt];
    let finishReason: Generated['finishReason'] = 'length';
    while (ids.length < limit) {
      const next = pick(this.model.nextTokenLogits(Int32Array.from(ids)), temperature, random);
      if (this.tokenizer.stopTokenIds.has(next)) {
        finishReason = 'stop';
        break;
      }
      ids.push(next);
      await yieldToEventLoop();
    }
    const tokenIds = ids.slice(prompt.length);
    return { text: await this.tokenizer.decode(tokenIds), tokenIds, finishReason };
  }
}

/**
 * @param logits [vocab]
 * @returns the most probable token at temperature 0, else one drawn from softmax(logits / temperature)
 */
export function pick(logits: Float32Array, temperature: number, random: () => number): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  if (temperature === 0) return best;
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - logits[best]!) / temperature));
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
  for (let id = 0; id < weights.length; id++) {
    left -= weights[id]!;
    if (left < 0) return id;
  }
  return best; // reached only through rounding errors in the sum
}
