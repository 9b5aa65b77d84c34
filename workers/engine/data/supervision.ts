/** From an example of the file to token ids and the mask of what is learned. */
import type { ChatExample, CompletionExample, TrainingExample } from '../../../src/formats/examples.ts';
import type { Example } from './batch.ts';
import type { ChatTemplate, Rendering } from './template/chat-template.ts';
import type { Encoded, Tokenizer } from './tokenizer.ts';

export type Span = [start: number, end: number];

/** @throws Error saying what is wrong with the example, to be told with its line */
export async function tokenizeExample(example: TrainingExample, tokenizer: Tokenizer, template: ChatTemplate | null): Promise<Example> {
  if (example.kind === 'completion') return tokenizeCompletion(example, tokenizer);
  if (template === null) throw new Error('is a conversation, but the model has no chat template; use prompt and completion, or a chat model');
  const { messages, tools } = example;
  const whole = render(template, messages, { tools, addGenerationPrompt: false });
  const encoded = await tokenizer.encode(whole.text, { addSpecialTokens: false });
  const lossWeights =
    whole.generated === null
      ? await addedByTurns(example, { text: whole.text, ids: encoded.ids, template, tokenizer })
      : maskOf(encoded, markedSpans(example, whole.generated));
  return withoutFirst({ inputIds: encoded.ids, lossWeights });
}

function render(template: ChatTemplate, ...[messages, options]: Parameters<ChatTemplate['render']>): Rendering {
  try {
    return template.render(messages, options);
  } catch (error) {
    throw new Error(`is refused by the model's chat template: ${(error as Error).message}`);
  }
}

/** @param generated one span for each assistant's turn, when a weight of 0 has to be matched with its turn */
function markedSpans({ messages }: ChatExample, generated: Span[]): Span[] {
  const turns = messages.filter(({ role }) => role === 'assistant');
  if (turns.every(({ weight }) => weight === 1)) return generated;
  if (turns.length !== generated.length)
    throw new Error(`has ${turns.length} assistant messages of which the chat template marks ${generated.length}, so a weight of 0 cannot be placed`);
  return generated.filter((_, index) => turns[index]!.weight === 1);
}

interface Whole {
  text: string;
  ids: Int32Array;
  template: ChatTemplate;
  tokenizer: Tokenizer;
}

/**
 * A template without marks: a turn is the difference between the ids of the rendering up to it, ended with the generation prompt, and of the rendering
 * with it (TRL's prefix property). Both have to begin the whole conversation, else the model would be trained on what it never sees when it generates.
 * @param whole the conversation, rendered and tokenised
 * @returns [tokens]
 */
async function addedByTurns({ messages, tools }: ChatExample, whole: Whole): Promise<Float32Array> {
  const mask = new Float32Array(whole.ids.length);
  for (const [index, { role, weight }] of messages.entries()) {
    if (role !== 'assistant' || weight === 0) continue;
    const before = render(whole.template, messages.slice(0, index), { tools, addGenerationPrompt: true }).text;
    const after = render(whole.template, messages.slice(0, index + 1), { tools, addGenerationPrompt: false }).text;
    const start = await tokensOfBeginning(before, whole);
    const end = await tokensOfBeginning(after, whole);
    if (start === null || end === null)
      throw new Error(`has an assistant turn (message ${index + 1}) that cannot be told apart, because ${whyNot(before, after, whole.text)}`);
    mask.fill(1, start, end);
  }
  return mask;
}

/** @returns how many ids the beginning has, or null when the whole's do not begin with them */
async function tokensOfBeginning(beginning: string, { text, ids, tokenizer }: Whole): Promise<number | null> {
  if (beginning === text) return ids.length;
  const own = (await tokenizer.encode(beginning, { addSpecialTokens: false })).ids;
  return own.every((id, index) => id === ids[index]) ? own.length : null;
}

function whyNot(before: string, after: string, whole: string): string {
  const remedy = 'mark what is learned with {% generation %} in the template, or give the earlier turns a weight of 0';
  if (!whole.startsWith(after)) return `with the model's chat template a longer conversation does not begin like a shorter one; ${remedy}`;
  if (!after.startsWith(before)) return `with the model's chat template the turn does not begin with the generation prompt; ${remedy}`;
  return 'its first or last token joins it to the text around it; begin and end what the assistant says with something else than white space';
}

/**
 * transformers' `return_assistant_tokens_mask`: from the token that holds a span's first character to the one that holds its last. Where a character
 * is spread over several tokens (the bytes of an emoji), all of them are learned; transformers stops at the first.
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

/** TRL's prompt and completion: both tokenised together, eos after them; what comes after the prompt's own number of tokens is learned. */
async function tokenizeCompletion({ prompt, completion }: CompletionExample, tokenizer: Tokenizer): Promise<Example> {
  const ended = completion.endsWith(tokenizer.eosToken) ? completion : completion + tokenizer.eosToken;
  const before = await tokenizer.encode(prompt, { addSpecialTokens: true });
  const { ids } = await tokenizer.encode(prompt + ended, { addSpecialTokens: true });
  return withoutFirst({ inputIds: ids, lossWeights: new Float32Array(ids.length).fill(1, Math.min(before.ids.length, ids.length)) });
}

/** Nothing predicts the first token, so it is never learned. */
function withoutFirst(example: Example): Example {
  example.lossWeights[0] = 0;
  return example;
}
