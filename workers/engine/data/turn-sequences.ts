/**
 * From the renderings of a conversation's turns to the texts that are trained. Usually that is one: the whole conversation. Where a template renders
 * an earlier turn differently once others follow, as thinking templates do, the turn gets a text of its own, which ends with it: what precedes the
 * turn is then what the model is shown in use, and the turn is what it should write.
 */

import { commonPrefixLength } from '../../../src/formats/common-prefix.ts';
import { withoutEpilogue } from './epilogue.ts';
import type { Notice } from './notices.ts';
import { ownReasoning } from './own-reasoning.ts';
import type { RenderedTurns, Turn } from './template/chat-template.ts';
import { beginsReasoning, withBeginning } from './turn-beginning.ts';
import { type Source, textOf } from './turns.ts';

export interface LearnedSpan {
  /** Index of the message. */
  message: number;
  /** UTF-16 units [start, end) of the text. */
  start: number;
  end: number;
}

/** A text of its own: none of a conversation's texts sees another. */
export interface Sequence {
  text: string;
  learned: LearnedSpan[];
}

/** @returns the texts in the order of their first turns; the whole conversation if none of its turns is learned */
export function sequencesOf({ text, turns }: RenderedTurns, source: Source): { sequences: Sequence[]; notices: Notice[] } {
  const notices: Notice[] = [];
  const sequences: Sequence[] = [];
  const whole: Sequence = { text, learned: [] };
  let own: Sequence | undefined;
  for (const turn of turns) {
    const placed = place(turn, text, source);
    notices.push(...placed.notices);
    const learned = { message: turn.message, start: placed.start, end: placed.end };
    if (placed.text === null) {
      if (whole.learned.length === 0) sequences.push(whole);
      whole.learned.push(learned);
    } else if (own !== undefined && placed.text.startsWith(own.text)) {
      own.text = placed.text;
      own.learned.push(learned);
    } else {
      own = { text: placed.text, learned: [learned] };
      sequences.push(own);
    }
  }
  return { sequences: sequences.length === 0 ? [whole] : sequences, notices };
}

interface Placed {
  /** The text that ends with the turn; null if the turn is in the whole conversation's. */
  text: string | null;
  start: number;
  end: number;
  notices: Notice[];
}

function place(turn: Turn, whole: string, source: Source): Placed {
  const reasoned = ownReasoning(turn, whole, source);
  if (reasoned !== null) return { ...reasoned, notices: [{ kind: 'own_reasoning' }, ...shownInAddition(reasoned, textOf(turn.before, whole))] };
  const after = typeof turn.after === 'number' ? turn.after : withoutEpilogue(turn, whole, source);
  if (typeof turn.before === 'number' && typeof after === 'number' && turn.before <= after)
    return { text: null, start: beginsReasoning(whole.slice(0, turn.before)), end: after, notices: [] };
  const before = textOf(turn.before, whole);
  const text = textOf(after, whole);
  const { start, ...own } = withBeginning(turn.message, before, text, source);
  const isWhole = typeof after === 'number' && own.text === text;
  const notices = shownInAddition(own, before);
  if (!isWhole) notices.push({ kind: 'own_renderings' });
  return { text: isWhole ? null : own.text, start, end: own.text.length, notices };
}

/** @returns a notice if the text does not begin with all that the model is shown in use */
function shownInAddition({ text }: { text: string }, before: string): Notice[] {
  if (text.startsWith(before)) return [];
  return [{ kind: 'prompt_differs', detail: JSON.stringify(before.slice(commonPrefixLength(text, before))) }];
}
