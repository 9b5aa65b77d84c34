/** What some templates (Phi-3's) print after the last message, whichever it is: it belongs to the end of the text, not to the turn. */
import { commonPrefixLength } from '../../../src/formats/common-prefix.ts';
import type { Rendered } from './template/beginnings.ts';
import type { Turn } from './template/chat-template.ts';
import { renderMessages, type Source, textOf } from './turns.ts';

/**
 * @param turn whose rendering is not a prefix of the whole conversation
 * @returns its length in the whole conversation, if that is so without the epilogue; otherwise the rendering as it is
 */
export function withoutEpilogue({ message, before, after }: Turn, whole: string, source: Source): Rendered {
  if (typeof after === 'number') return after;
  const { epilogue } = contextOf(message, textOf(before, whole), source);
  if (epilogue === '' || !after.endsWith(epilogue)) return after;
  const turn = after.slice(0, -epilogue.length);
  return whole.startsWith(turn) ? turn.length : after;
}

/**
 * @param prompted the messages before this one, with the generation prompt
 * @returns the same messages without it, and what is printed after them because they are the last
 */
export function contextOf(message: number, prompted: string, { template, tokenizer, conversation }: Source): { text: string; epilogue: string } {
  if (message === 0) return { text: '', epilogue: '' };
  const ended = renderMessages(template, { ...conversation, messages: conversation.messages.slice(0, message) }).text;
  const length = tokenizer.outsideAddedTokens(ended, commonPrefixLength(ended, prompted));
  return { text: ended.slice(0, length), epilogue: ended.slice(length) };
}
