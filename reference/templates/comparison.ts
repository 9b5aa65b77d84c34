/** One template's renderings, here and in transformers. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type ChatExample, parseExample } from '../../src/formats/examples.ts';
import { type JsonObject, parseJsonValue } from '../../src/formats/json-value.ts';
import { IncompleteTurn } from '../../workers/engine/data/incomplete-turns.ts';
import { tokenizeExample } from '../../workers/engine/data/supervision.ts';
import { ChatTemplate } from '../../workers/engine/data/template/chat-template.ts';
import { pythonJson } from '../../workers/engine/data/template/jinja/json.ts';
import type { Value } from '../../workers/engine/data/template/jinja/values.ts';
import type { Tokenizer } from '../../workers/engine/data/tokenizer.ts';

/** What transformers made of one form of a conversation. */
export interface Theirs {
  text?: string;
  refused?: string;
  /** For templates that mark what the assistant generated. */
  ids?: number[];
  mask?: number[];
}

export interface Conversation {
  /** Whether the conversation ends where the model is to answer. */
  prompt: boolean;
  example: ChatExample;
  /** Texts of content in parts; a template that drops one of them is refused here. */
  parts: string[];
}

/** @param file a JSON object a line, with `example`, which is a line of a training file, and `prompt` */
export function readConversations(file: string): Conversation[] {
  return readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line, index) => conversation(parseJsonValue(line) as JsonObject, index + 1));
}

function conversation(row: JsonObject, line: number): Conversation {
  const prompt = row.get('prompt') === true;
  const given = row.get('example') as JsonObject;
  const messages = given.get('messages') as JsonObject[];
  // A line of a training file ends with an answer.
  if (prompt) messages.push(new Map([...Object.entries({ role: 'assistant', content: '' })]));
  const example = parseExample(pythonJson(given as Value), line, 'training_file');
  if (example.kind !== 'chat') throw new Error(`line ${line} is no conversation`);
  if (prompt) example.messages.pop();
  const parts = messages.flatMap((message) => (Array.isArray(message.get('content')) ? (message.get('content') as JsonObject[]) : []));
  return { prompt, example, parts: parts.map((part) => (part.get('text') as string).trim()) };
}

export interface Counts {
  tried: number;
  /** Conversations that both refuse. */
  refused: number;
  /** Conversations whose text, ids or mask differ, or which only one refuses. */
  differing: number;
  /** Beginnings of conversations that were compared with a rendering of their own, and those that differ. */
  beginnings: number;
  beginningsDiffering: number;
}

export class TemplateComparison {
  readonly counts: Counts = { tried: 0, refused: 0, differing: 0, beginnings: 0, beginningsDiffering: 0 };
  /** What differs, in words. */
  readonly problems: string[] = [];
  readonly #template: ChatTemplate;

  constructor(
    source: string,
    private readonly tokenizer: Tokenizer,
    today: Date,
  ) {
    this.#template = new ChatTemplate(source, { specialTokens: tokenizer.specialTokens, today });
  }

  get marksGeneration(): boolean {
    return this.#template.main.marksGeneration;
  }

  /** @param theirs the outcomes of the conversation's forms, the first as it is */
  async add(name: string, given: Conversation, theirs: readonly Theirs[]): Promise<void> {
    this.counts.tried += 1;
    const ours = await this.#ours(given);
    const wanted = theirs.filter(({ text }) => text !== undefined);
    if (ours.refused !== undefined && !wanted.some(({ text }) => given.parts.every((part) => text!.includes(part)))) this.counts.refused += 1;
    else if (!wanted.some((each) => isDeepStrictEqual(comparable(each, given.prompt || ours.mask === undefined), comparable(ours, given.prompt)))) {
      this.counts.differing += 1;
      this.problems.push(`${name}: ${difference(ours, wanted[0] ?? theirs[0]!)}`);
    }
    if (ours.refused === undefined && !given.prompt) this.#beginnings(name, given.example);
  }

  async #ours({ example, prompt }: Conversation): Promise<Theirs> {
    const options = { tools: example.tools, kwargs: example.templateKwargs };
    try {
      const { text } = this.#template.render(example.messages, { ...options, addGenerationPrompt: prompt });
      if (!this.#template.marksGeneration(example.tools)) return { text };
      if (prompt) return { text, ids: [...(await this.tokenizer.encode(text, { addSpecialTokens: false })).ids] };
      // A turn that the template leaves out in part is refused as data, which says nothing of the rendering: without learning, its ids are compared.
      const unlearned = async (error: unknown) => {
        if (!(error instanceof IncompleteTurn)) throw error;
        return { inputIds: (await this.tokenizer.encode(text, { addSpecialTokens: false })).ids, lossWeights: null };
      };
      const { inputIds, lossWeights } = await tokenizeExample(example, this.tokenizer, this.#template).catch(unlearned);
      return { text, ids: [...inputIds], ...(lossWeights !== null && { mask: [...lossWeights] }) };
    } catch (error) {
      return { refused: (error as Error).message };
    }
  }

  /** `turns` must give what a rendering of each beginning gives. */
  #beginnings(name: string, { messages, tools, templateKwargs: kwargs }: ChatExample): void {
    const count = messages.length;
    for (let message = 0; message < count; message++) {
      const rendered = (end: number, addGenerationPrompt: boolean) =>
        attempt(() => this.#template.render(messages.slice(0, end), { tools, kwargs, addGenerationPrompt }).text);
      const wanted = [rendered(message, true), rendered(message + 1, false)];
      const got = attempt(() => {
        const { text, turns } = this.#template.turns(messages, { tools, kwargs, only: [message] });
        return [turns[0]!.before, turns[0]!.after].map((each) => (typeof each === 'number' ? text.slice(0, each) : each));
      });
      this.counts.beginnings += 1;
      const same = typeof got === 'string' || got instanceof Error ? wanted.some((each) => each instanceof Error) : isDeepStrictEqual(got, wanted);
      if (same) continue;
      this.counts.beginningsDiffering += 1;
      this.problems.push(`${name}, up to message ${message + 1}: ${JSON.stringify(got)} instead of ${JSON.stringify(wanted)}`);
    }
  }
}

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    return error as Error;
  }
}

/** Nothing predicts the first token, so it is never learned here; and where the model is to answer, nothing is learned. */
function comparable({ text, ids, mask }: Theirs, unlearned: boolean) {
  return { text, ids, mask: unlearned ? undefined : mask?.map((value, index) => (index === 0 ? 0 : value)) };
}

function difference(ours: Theirs, theirs: Theirs): string {
  if (ours.refused !== undefined || theirs.refused !== undefined)
    return `here ${ours.refused ?? 'rendered'}, in transformers ${theirs.refused ?? 'rendered'}`;
  if (ours.text === theirs.text) return 'ids or mask differ';
  let at = 0;
  while (ours.text![at] === theirs.text![at]) at += 1;
  return `here ${JSON.stringify(ours.text!.slice(at, at + 60))}, in transformers ${JSON.stringify(theirs.text!.slice(at, at + 60))}`;
}
