/** A conversation as the chat template renders it: its token ids, and which of them are the assistant's. */
import type { ChatExample, ChatMessage } from '../../../src/formats/examples.ts';
import type { Example } from './batch.ts';
import type { TokenizedExample } from './completion.ts';
import { endOfTurn } from './end-of-turn.ts';
import { checkTurns, IncompleteTurn, type TurnTexts } from './incomplete-turns.ts';
import type { Notice } from './notices.ts';
import { joinSequences } from './sequences.ts';
import { codePointSlicer, inCodePoints, type Span, tokensOfSpans } from './span-mask.ts';
import type { Rendering } from './template/chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';
import { sequencesOf } from './turn-sequences.ts';
import { type ConversationOptions, marksTurns, renderMessages, renderTurns } from './turns.ts';

/** A text to train, and what is learned of it. */
interface Lesson {
  text: string;
  /** In code points of the text, ascending. */
  spans: Span[];
  /** Whether the template marked the spans; otherwise they are whole turns. */
  marked: boolean;
}

interface Lessons {
  lessons: Lesson[];
  notices: Notice[];
  texts: TurnTexts;
}

/** @throws TemplateRefusal, IncompleteTurn */
export async function tokenizeConversation(example: ChatExample, options: ConversationOptions): Promise<TokenizedExample> {
  const { lessons, notices, texts } = lessonsOf(example, options);
  const rendered = (messages: ChatMessage[]) => lessonsOf({ ...example, messages }, options).texts;
  checkTurns(example.messages, texts, { known: options.knownShapes, rendered });
  const sequences = await Promise.all(lessons.map((lesson) => encode(lesson, options.tokenizer)));
  return { ...joinSequences(sequences), notices: [...notices, ...sequences.flatMap((sequence) => sequence.notices)] };
}

function lessonsOf(example: ChatExample, options: ConversationOptions): Lessons {
  return marksTurns(options.template, example) ? lessonsByMarks(example, renderMessages(options.template, example)) : lessonsByTurn(example, options);
}

function lessonsByTurn(example: ChatExample, { template, tokenizer }: ConversationOptions): Lessons {
  const source = { template, tokenizer, conversation: example };
  const { sequences, notices } = sequencesOf(renderTurns(template, example), source);
  const texts = new Map<number, string>();
  const lessons = sequences.map(({ text, learned }): Lesson => {
    for (const { message, start, end } of learned) {
      if (start >= end) throw new IncompleteTurn(`has a turn to learn (message ${message + 1}) for which the chat template writes nothing`);
      texts.set(message, text.slice(start, end));
    }
    const places = inCodePoints(
      text,
      learned.flatMap(({ start, end }) => [start, end]),
    );
    return { text, spans: learned.map((_, index) => [places[2 * index]!, places[2 * index + 1]!]), marked: false };
  });
  return { lessons, notices, texts: { of: (message) => texts.get(message) ?? '', apart: true } };
}

function lessonsByMarks({ messages }: ChatExample, { text, generated }: Rendering): Lessons {
  const turns = [...messages.keys()].filter((index) => messages[index]!.role === 'assistant');
  const spans = markedSpans(
    turns.map((turn) => messages[turn]!),
    generated,
  );
  // What the template leaves unmarked on purpose is not learned, but it is written.
  const slice = codePointSlicer(text);
  const apart = turns.length === generated.length;
  const order = new Map(turns.map((message, index) => [message, index]));
  const around = (index: number) => slice(generated[index - 1]?.[1] ?? 0, generated[index + 1]?.[0] ?? text.length);
  const of = (message: number) => (apart ? around(order.get(message)!) : text);
  return { lessons: [{ text, spans, marked: true }], notices: [], texts: { of, apart } };
}

/** @param generated must have one span per assistant message where one of them has weight 0 */
function markedSpans(turns: readonly ChatMessage[], generated: Span[]): Span[] {
  if (turns.every(({ weight }) => weight === 1)) return generated;
  if (turns.length !== generated.length)
    throw new Error(`has ${turns.length} assistant messages, but the chat template marks ${generated.length}, so a weight of 0 cannot be matched`);
  return generated.filter((_, index) => turns[index]!.weight === 1);
}

async function encode({ text, spans, marked }: Lesson, tokenizer: Tokenizer): Promise<Example & { notices: Notice[] }> {
  const encoded = await tokenizer.encode(text, { addSpecialTokens: false });
  const { ids, offsets } = encoded;
  const slice = codePointSlicer(text);
  const lossWeights = new Float32Array(ids.length);
  const notices: Notice[] = [];
  for (const [index, tokens] of tokensOfSpans(encoded, spans).entries()) {
    if (tokens === null) continue;
    let [from, to] = tokens;
    const [start] = spans[index]!;
    if (!marked && offsets[from]![0] < start) {
      // An added token that takes the white space after it is the prompt's all the same.
      if (tokenizer.isAddedToken(ids[from]!)) from += 1;
      else notices.push({ kind: 'prompt_merged', detail: JSON.stringify(slice(offsets[from]![0], start)) });
    }
    const { end, isMarked } = endOfTurn(encoded, [from, to], { slice, tokenizer });
    if (isMarked && !marked) to = end;
    if (!isMarked && (!marked || index === spans.length - 1)) notices.push({ kind: 'no_end_of_turn' });
    lossWeights.fill(1, from, to);
  }
  return { inputIds: ids, lossWeights, notices };
}
