/**
 * Finds what the chat template does not say of a turn to learn: a tool call that it does not write, reasoning that it does not know. Such a turn would
 * teach the model to say nothing where it should call.
 */
import type { ChatMessage } from '../../../src/formats/examples.ts';
import { type MessagePart, partsOf } from './message-parts.ts';
import { learnedMessages } from './turns.ts';

/** What a template writes for a conversation's turns. */
export interface TurnTexts {
  /** By message. */
  of(message: number): string;
  /** Whether each turn has a text of its own, in which at most the next turn shows too; otherwise all have the same. */
  apart: boolean;
}

/** Some of what a turn should teach is missing from its text. */
export class IncompleteTurn extends Error {
  override readonly name = 'IncompleteTurn';
  readonly hint =
    'Use a model or chat_template that writes it, write it into the content, give the turn a weight of 0, or set incomplete_turns to "drop".';
}

interface Candidate {
  /** Which of the turns to learn it is. */
  turn: number;
  message: number;
  part: MessagePart;
}

/**
 * A part that stands in the turn's text as it was given is there. Another part may have been transformed (trimmed, escaped, split), so it is changed:
 * if the text stays as it was, the template does not write the part. So is each part of the first turn of a shape, because a short part can stand in
 * the text by chance.
 * @param known    the shapes seen so far in the file; added to
 * @param rendered the texts of the same conversation with other parts
 * @throws IncompleteTurn naming the first message and part
 */
export function checkTurns(
  messages: readonly ChatMessage[],
  texts: TurnTexts,
  { known, rendered }: { known: Set<string>; rendered(messages: ChatMessage[]): TurnTexts },
): void {
  const together = new Map<string, Candidate[]>();
  for (const candidate of candidatesOf(messages, texts, known)) {
    // Neighbours are changed apart from each other.
    const key = `${texts.apart ? candidate.turn % 2 : candidate.turn} ${candidate.part.kind}`;
    const others = together.get(key);
    if (others === undefined) together.set(key, [candidate]);
    else others.push(candidate);
  }
  const lost = [...together.values()].flatMap((candidates) => {
    const changed = [...messages];
    for (const { message, part } of candidates) changed[message] = part.change(messages[message]!);
    const others = renderedOrNull(() => rendered(changed));
    return others === null ? [] : candidates.filter(({ message }) => others.of(message) === texts.of(message));
  });
  const first = lost.toSorted((a, b) => a.message - b.message)[0];
  if (first !== undefined)
    throw new IncompleteTurn(`has a turn to learn (message ${first.message + 1}) of which the chat template leaves out ${first.part.name}`);
}

function candidatesOf(messages: readonly ChatMessage[], texts: TurnTexts, known: Set<string>): Candidate[] {
  const candidates: Candidate[] = [];
  for (const [turn, message] of learnedMessages(messages).entries()) {
    const text = texts.of(message);
    const parts = partsOf(messages[message]!);
    const shape = shapeOf(messages, message, parts);
    const isNew = !known.has(shape);
    known.add(shape);
    for (const part of parts) if (isNew || !part.texts.every((each) => each !== '' && text.includes(each))) candidates.push({ turn, message, part });
  }
  return candidates;
}

/** Turns of one shape are rendered by the same branches of a template. */
const shapeOf = (messages: readonly ChatMessage[], message: number, parts: readonly MessagePart[]): string =>
  JSON.stringify([
    messages[message - 1]?.role ?? '',
    message + 1 === messages.length,
    messages[message + 1]?.role ?? '',
    parts.map(({ kind }) => kind),
  ]);

/** A template that refuses the changed messages reads what was changed. */
function renderedOrNull(render: () => TurnTexts): TurnTexts | null {
  try {
    return render();
  } catch {
    return null;
  }
}
