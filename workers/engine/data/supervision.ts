/** Turns an example into token ids and their weights in the loss. */
import type { ChatExample, CompletionExample, TrainingExample } from '../../../src/formats/examples.ts';
import type { Example } from './batch.ts';
import type { ChatTemplate, Rendering } from './template/chat-template.ts';
import type { Encoded, Tokenizer } from './tokenizer.ts';

type Span = [start: number, end: number];

/** The chat template refuses the conversation, or does not show where an assistant's turn begins and ends. */
export class TemplateRefusal extends Error {
  override readonly name = 'TemplateRefusal';
}

/** @throws TemplateRefusal, Error saying what is wrong with the example; the caller names the line */
export async function tokenizeExample(example: TrainingExample, tokenizer: Tokenizer, template: ChatTemplate | null): Promise<Example> {
  if (example.kind === 'completion') return tokenizeCompletion(example, tokenizer);
  if (template === null) throw new Error('is a conversation, but the model has no chat template; use prompt and completion, or a chat model');
  const { messages, tools, templateKwargs: kwargs } = example;
  const whole = render(template, messages, { tools, kwargs, addGenerationPrompt: false });
  const encoded = await tokenizer.encode(whole.text, { addSpecialTokens: false });
  const lossWeights =
    whole.generated === null
      ? await maskOfTurns(example, { text: whole.text, ids: encoded.ids, template, tokenizer })
      : maskOf(encoded, markedSpans(example, whole.generated));
  return withoutFirst({ inputIds: encoded.ids, lossWeights });
}

function render(template: ChatTemplate, ...[messages, options]: Parameters<ChatTemplate['render']>): Rendering {
  try {
    return template.render(messages, options);
  } catch (error) {
    throw new TemplateRefusal(`is refused by the model's chat template: ${(error as Error).message}`);
  }
}

/** @param generated must have one span per assistant message where one of them has weight 0 */
function markedSpans({ messages }: ChatExample, generated: Span[]): Span[] {
  const turns = messages.filter(({ role }) => role === 'assistant');
  if (turns.every(({ weight }) => weight === 1)) return generated;
  if (turns.length !== generated.length)
    throw new Error(`has ${turns.length} assistant messages, but the chat template marks ${generated.length}, so a weight of 0 cannot be matched`);
  return generated.filter((_, index) => turns[index]!.weight === 1);
}

interface Whole {
  text: string;
  ids: Int32Array;
  template: ChatTemplate;
  tokenizer: Tokenizer;
}

/**
 * For a template without marks: a turn is what its rendering adds to the rendering before it with the generation prompt (TRL's prefix property). Both
 * must be prefixes of the whole conversation, or the model would be trained on text that it never sees in generation.
 * @param whole the conversation, rendered and tokenised
 * @returns [tokens]
 */
async function maskOfTurns({ messages, tools, templateKwargs: kwargs }: ChatExample, whole: Whole): Promise<Float32Array> {
  const mask = new Float32Array(whole.ids.length);
  for (const [index, { role, weight }] of messages.entries()) {
    if (role !== 'assistant' || weight === 0) continue;
    const before = render(whole.template, messages.slice(0, index), { tools, kwargs, addGenerationPrompt: true }).text;
    const after = render(whole.template, messages.slice(0, index + 1), { tools, kwargs, addGenerationPrompt: false }).text;
    const start = await prefixLength(before, whole);
    const end = await prefixLength(after, whole);
    if (start === null || end === null)
      throw new TemplateRefusal(
        `has an assistant turn (message ${index + 1}) that cannot be separated from the rest, because ${whyNot(before, after, whole.text)}`,
      );
    mask.fill(1, start, end);
  }
  return mask;
}

/** @returns the prefix's number of tokens, or null when the whole conversation does not begin with them */
async function prefixLength(prefix: string, { text, ids, tokenizer }: Whole): Promise<number | null> {
  if (prefix === text) return ids.length;
  const prefixIds = (await tokenizer.encode(prefix, { addSpecialTokens: false })).ids;
  return prefixIds.every((id, index) => id === ids[index]) ? prefixIds.length : null;
}

function whyNot(before: string, after: string, whole: string): string {
  const remedy = 'mark assistant turns with {% generation %} in the template, or give the earlier turns a weight of 0';
  if (!whole.startsWith(after)) return `the model's chat template renders earlier messages differently once others follow; ${remedy}`;
  if (!after.startsWith(before)) return `the model's chat template does not begin the turn with the generation prompt; ${remedy}`;
  return 'its first or last token also covers text around it; begin and end the assistant message with something other than white space';
}

/**
 * transformers' `return_assistant_tokens_mask`: from the token that holds a span's first character to the one that holds its last. Where a character
 * is spread over several tokens (the bytes of an emoji), all of them count; transformers stops at the first.
 * @returns [tokens]
 */
function maskOf({ ids, offsets }: Encoded, spans: readonly Span[]): Float32Array {
  const mask = new Float32Array(ids.length);
  for (const [start, end] of spans) {
    const touches = ([from, to]: [number, number]) => from < end && to > start && from < to;
    const first = offsets.findIndex(touches);
    if (first !== -1) mask.fill(1, first, offsets.findLastIndex(touches) + 1);
  }
  return mask;
}

/** As in TRL: prompt, completion and eos are tokenised together; the first tokens, as many as the prompt alone has, are only context. */
async function tokenizeCompletion({ prompt, completion }: CompletionExample, tokenizer: Tokenizer): Promise<Example> {
  const ended = completion.endsWith(tokenizer.eosToken) ? completion : completion + tokenizer.eosToken;
  const before = await tokenizer.encode(prompt, { addSpecialTokens: true });
  const { ids } = await tokenizer.encode(prompt + ended, { addSpecialTokens: true });
  return withoutFirst({ inputIds: ids, lossWeights: new Float32Array(ids.length).fill(1, Math.min(before.ids.length, ids.length)) });
}

/** Nothing predicts the first token, so it never counts. */
function withoutFirst(example: Example): Example {
  example.lossWeights[0] = 0;
  return example;
}
