/** A preference pair: its two answers as sequences of one example, the preferred one first, tokenised as TRL does. */

import { commonPrefixLength } from '../../../src/formats/common-prefix.ts';
import type { PreferenceExample } from '../../../src/formats/preference.ts';
import type { TokenizedExample } from './completion.ts';
import { joinSequences } from './sequences.ts';
import { type SupervisionOptions, tokenizeExample } from './supervision.ts';
import type { ChatTemplate } from './template/chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';

/** @throws TemplateRefusal, IncompleteTurn, Error saying what is wrong with the example; the caller names the line */
export async function tokenizePair(
  { chosen, rejected }: PreferenceExample,
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
  options: SupervisionOptions = {},
): Promise<TokenizedExample> {
  const answers = [await tokenizeExample(chosen, tokenizer, template, options), await tokenizeExample(rejected, tokenizer, template, options)];
  const [first, second] = answers as [TokenizedExample, TokenizedExample];
  const { length } = first.inputIds;
  if (length === second.inputIds.length && commonPrefixLength(first.inputIds, second.inputIds) === length)
    throw new Error('has two answers that are the same once the chat template and the tokenizer have read them');
  // Where the tokens of one answer begin within the prompt, those of the other are compared from there too.
  const start = Math.min(...answers.map(({ lossWeights }) => firstLearned(lossWeights)));
  for (const { lossWeights } of answers) lossWeights.fill(1, start);
  return { ...joinSequences(answers), notices: answers.flatMap(({ notices }) => notices) };
}

function firstLearned(lossWeights: Float32Array): number {
  const first = lossWeights.findIndex((weight) => weight !== 0);
  return first === -1 ? lossWeights.length : first;
}
