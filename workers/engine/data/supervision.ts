/** Turns an example into token ids and their weights in the loss. */
import type { DistilledExample } from '../../../src/formats/distilled.ts';
import type { TrainingExample } from '../../../src/formats/examples.ts';
import { type TokenizedExample, tokenizeCompletion } from './completion.ts';
import { tokenizeContinuation } from './continuation.ts';
import { tokenizeConversation } from './conversation.ts';
import { tokenizeText } from './plain-text.ts';
import type { ChatTemplate } from './template/chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { ConversationOptions } from './turns.ts';

export interface SupervisionOptions {
  /** Shapes of turns that the template is known to write whole, shared by the examples of a file; added to. */
  knownShapes?: Set<string>;
  /** What a teacher thought of a conversation's messages. */
  teacher?: DistilledExample['teacher'];
}

/** @throws TemplateRefusal, IncompleteTurn, OtherTokens, Error saying what is wrong with the example; the caller names the line */
export async function tokenizeExample(
  example: TrainingExample,
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
  { knownShapes = new Set(), teacher }: SupervisionOptions = {},
): Promise<TokenizedExample> {
  const { weight = 1 } = example;
  const tokenized = await tokenizeWhole(example, tokenizer, template, { knownShapes, teacher });
  if (weight === 1) return tokenized;
  return { ...tokenized, lossWeights: tokenized.lossWeights.map((ofToken) => ofToken * weight) };
}

async function tokenizeWhole(
  example: TrainingExample,
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
  given: Pick<ConversationOptions, 'knownShapes' | 'teacher'>,
): Promise<TokenizedExample> {
  if (example.kind === 'completion') return tokenizeCompletion(example, tokenizer);
  if (example.kind === 'text') return tokenizeText(example, tokenizer);
  if (template === null) throw new Error('is a conversation, but the model has no chat template; use prompt and completion, or a chat model');
  const options = { template, tokenizer, ...given };
  const tokenized = await (example.kind === 'continuation' ? tokenizeContinuation(example, options) : tokenizeConversation(example, options));
  if (tokenizer.stopTokenIds.size === 0) tokenized.notices.push({ kind: 'no_eos' });
  return tokenized;
}
