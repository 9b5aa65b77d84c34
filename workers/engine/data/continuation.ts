/** A prompt and its completion as lists of messages, as TRL tokenises them. */

import { commonPrefixLength } from '../../../src/formats/common-prefix.ts';
import type { ChatMessage, ContinuationExample } from '../../../src/formats/examples.ts';
import { learnedAfter, type TokenizedExample } from './completion.ts';
import { endOfTurn } from './end-of-turn.ts';
import { checkTurns } from './incomplete-turns.ts';
import { codePointSlicer } from './span-mask.ts';
import { type ConversationOptions, renderMessages } from './turns.ts';

/**
 * The prompt is rendered with the generation prompt, and all that the completion adds is learned: also the line break that a template writes after a
 * turn's end, and messages of others in the completion.
 * @throws TemplateRefusal, IncompleteTurn
 */
export async function tokenizeContinuation(
  { kind: _, prompt, completion, ...given }: ContinuationExample,
  { template, tokenizer, knownShapes }: ConversationOptions,
): Promise<TokenizedExample> {
  const render = (messages: ChatMessage[]) => {
    const before = renderMessages(template, { ...given, messages: messages.slice(0, prompt.length) }, true).text;
    const whole = renderMessages(template, { ...given, messages }).text;
    return { before, whole, learned: whole.slice(commonPrefixLength(before, whole)) };
  };
  const messages = [...prompt.map((message) => ({ ...message, weight: 0 as const })), ...completion];
  const { before, whole, learned } = render(messages);
  const rendered = (changed: ChatMessage[]) => {
    const text = render(changed).learned;
    return { of: () => text, apart: false };
  };
  checkTurns(messages, { of: () => learned, apart: false }, { known: knownShapes, rendered });
  const promptIds = (await tokenizer.encode(before, { addSpecialTokens: false })).ids;
  const encoded = await tokenizer.encode(whole, { addSpecialTokens: false });
  const example = await learnedAfter(promptIds, encoded.ids, tokenizer);
  const { isMarked } = endOfTurn(encoded, [0, encoded.ids.length], { slice: codePointSlicer(whole), tokenizer });
  return isMarked ? example : { ...example, notices: [...example.notices, { kind: 'no_end_of_turn' }] };
}
