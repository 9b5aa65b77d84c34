/** A conversation as the chat template renders it: its token ids, and which of them are the assistant's. */
import type { ChatExample, ChatMessage } from '../../../src/formats/examples.ts';
import type { Example } from './batch.ts';
import type { TokenizedExample } from './completion.ts';
import { endOfTurn } from './end-of-turn.ts';
import { checkTurns, IncompleteTurn, type TurnTexts } from './incomplete-turns.ts';
import type { Notice } from './notices.ts';
import { joinSequences } from './sequences.ts';
import { codePointSlicer, inCodePoints, type Span, tokensOfSpans } from './span-mask.ts';
import { joinTeachers, type Teacher } from './teacher.ts';
import { teacherOfTurn } from './teacher-tokens.ts';
import type { Rendering } from './template/chat-template.ts';
import { sequencesOf } from './turn-sequences.ts';
import { type ConversationOptions, marksTurns, renderMessages, renderTurns } from './turns.ts';

/** A text to train, and what is learned of it. */
interface Lesson {
  text: string;
  /** In code points of the text, ascending. */
  spans: Span[];
  /** Weight of each span in the loss. */
  weights: number[];
  /** The message that each span is of; empty where the template's marks do not say. */
  messages: number[];
  /** Whether the template marked the spans; otherwise they are whole turns. */
  marked: boolean;
}

interface Lessons {
  lessons: Lesson[];
  notices: Notice[];
  texts: TurnTexts;
}

/** The chat template marks more or fewer turns than the conversation has. */
export class UnmatchedWeights extends Error {
  override readonly name = 'UnmatchedWeights';
  readonly hint = 'Set multi_turn to "split": each turn is then an example that ends with it.';
}

/** @throws TemplateRefusal, IncompleteTurn, UnmatchedWeights, OtherTokens */
export async function tokenizeConversation(example: ChatExample, options: ConversationOptions): Promise<TokenizedExample> {
  const { lessons, notices, texts } = lessonsOf(example, options);
  const rendered = (messages: ChatMessage[]) => lessonsOf({ ...example, messages }, options).texts;
  checkTurns(example.messages, texts, { known: options.knownShapes, rendered });
  const sequences = await Promise.all(lessons.map((lesson) => encode(lesson, options)));
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
    return {
      text,
      spans: learned.map((_, index) => [places[2 * index]!, places[2 * index + 1]!]),
      weights: learned.map(({ message }) => example.messages[message]!.weight),
      messages: learned.map(({ message }) => message),
      marked: false,
    };
  });
  return { lessons, notices, texts: { of: (message) => texts.get(message) ?? '', apart: true } };
}

function lessonsByMarks({ messages }: ChatExample, { text, generated }: Rendering): Lessons {
  const turns = [...messages.keys()].filter((index) => messages[index]!.role === 'assistant');
  const learned = markedSpans(messages, turns, generated);
  // What the template leaves unmarked on purpose is not learned, but it is written.
  const slice = codePointSlicer(text);
  const apart = turns.length === generated.length;
  const order = new Map(turns.map((message, index) => [message, index]));
  const around = (index: number) => slice(generated[index - 1]?.[1] ?? 0, generated[index + 1]?.[0] ?? text.length);
  const of = (message: number) => (apart ? around(order.get(message)!) : text);
  return { lessons: [{ text, ...learned, marked: true }], notices: [], texts: { of, apart } };
}

/** @param generated must have one span per assistant message where their weights differ, unless only the last is learned */
function markedSpans(messages: readonly ChatMessage[], turns: readonly number[], generated: Span[]): Pick<Lesson, 'spans' | 'weights' | 'messages'> {
  const weightOf = (turn: number) => messages[turn]!.weight;
  const isMatched = turns.length === generated.length;
  if (turns.every((turn) => weightOf(turn) === 1))
    return { spans: generated, weights: generated.map(() => 1), messages: isMatched ? [...turns] : [] };
  const last = turns.at(-1);
  const onlyLast = last !== undefined && turns.every((turn) => turn === last || weightOf(turn) === 0);
  if (onlyLast && weightOf(last) !== 0 && generated.length > 0) return { spans: generated.slice(-1), weights: [weightOf(last)], messages: [last] };
  if (!isMatched) throw unmatched(turns, generated, 'weights');
  const learned = [...turns.keys()].filter((index) => weightOf(turns[index]!) !== 0);
  return {
    spans: learned.map((index) => generated[index]!),
    weights: learned.map((index) => weightOf(turns[index]!)),
    messages: learned.map((index) => turns[index]!),
  };
}

const unmatched = (turns: readonly unknown[], spans: readonly Span[], what: string): UnmatchedWeights =>
  new UnmatchedWeights(`has ${turns.length} assistant messages, but the chat template marks ${spans.length}, so their ${what} cannot be matched`);

async function encode(
  { text, spans, weights, messages, marked }: Lesson,
  { tokenizer, teacher }: Pick<ConversationOptions, 'tokenizer' | 'teacher'>,
): Promise<Example & { notices: Notice[] }> {
  const encoded = await tokenizer.encode(text, { addSpecialTokens: false });
  const { ids, offsets } = encoded;
  const slice = codePointSlicer(text);
  const lossWeights = new Float32Array(ids.length);
  const notices: Notice[] = [];
  const taught: Teacher[] = [];
  if (teacher !== undefined && messages.length < spans.length)
    throw unmatched(
      teacher.filter((tokens) => tokens !== null),
      spans,
      'log-probabilities',
    );
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
    lossWeights.fill(weights[index]!, from, to);
    const written = teacher?.[messages[index]!];
    if (written == null) continue;
    const found = await teacherOfTurn({ ids, tokens: [from, to], message: messages[index]! + 1 }, written, tokenizer);
    taught.push(found.teacher);
    notices.push(...found.notices);
  }
  return {
    inputIds: ids,
    lossWeights,
    ...(taught.length > 0 && { teacher: joinTeachers(taught.map((teacher) => ({ teacher, offset: 0 }))) }),
    notices,
  };
}
