/**
 * Turns whose reasoning is in their content, `<think>…</think>` before the answer, where the template leaves the reasoning out even of the turn that
 * is being written (DeepSeek-R1's distilled models). What the model should write is then the content itself, between the template's beginning and end
 * of the turn; TRL's template for training these models does the same.
 */

import { commonPrefixLength } from '../../../src/formats/common-prefix.ts';
import { withText } from './message-parts.ts';
import type { Turn } from './template/chat-template.ts';
import { withBeginning } from './turn-beginning.ts';
import { renderMessages, type Source, textOf } from './turns.ts';

const CLOSES_REASONING = '</think>';
// Digits, which no template trims, splits or escapes.
const REASONING_PROBE = '73914602885';
const ANSWER_PROBE = '58820641937';

/** @returns the text that ends with the turn, and the turn in it; null where the template renders the turn whole */
export function ownReasoning({ message, before, after }: Turn, whole: string, source: Source): { text: string; start: number; end: number } | null {
  const { template, conversation } = source;
  const { messages } = conversation;
  const content = messages[message]!.content ?? '';
  const end = content.lastIndexOf(CLOSES_REASONING);
  if (end === -1) return null;
  // An empty block of reasoning is a text that the model should write too.
  const reasoning = content.slice(0, end).replace('<think>', '').trim() || CLOSES_REASONING;
  if (typeof before === 'number' && typeof after === 'number' && whole.slice(before, after).includes(reasoning)) return null;
  const shown = textOf(before, whole);
  const rendered = textOf(after, whole);
  if (rendered.slice(commonPrefixLength(shown, rendered)).includes(reasoning)) return null;
  const probe = withText(messages[message]!, `<think>${REASONING_PROBE}${CLOSES_REASONING}${ANSWER_PROBE}`);
  const probed = renderMessages(template, { ...conversation, messages: [...messages.slice(0, message), probe] }).text;
  const at = probed.lastIndexOf(ANSWER_PROBE);
  if (at === -1 || probed.includes(REASONING_PROBE)) return null;
  const beginning = withBeginning(message, shown, probed.slice(0, at), source);
  const text = beginning.text + content + probed.slice(at + ANSWER_PROBE.length);
  return { text, start: beginning.start, end: text.length };
}
