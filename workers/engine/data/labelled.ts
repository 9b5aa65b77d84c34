/** A labelled answer: its tokens have the weight 1 if it is good, and −1 if it is bad. */
import type { LabelledExample } from '../../../src/formats/labelled.ts';
import type { PreferenceExample } from '../../../src/formats/preference.ts';
import type { TokenizedExample } from './completion.ts';
import { type SupervisionOptions, tokenizeExample } from './supervision.ts';
import type { ChatTemplate } from './template/chat-template.ts';
import type { Tokenizer } from './tokenizer.ts';

/** @throws what `tokenizeExample` throws */
export async function tokenizeLabelled(
  { answer, label }: Pick<LabelledExample, 'answer' | 'label'>,
  tokenizer: Tokenizer,
  template: ChatTemplate | null,
  options: SupervisionOptions = {},
): Promise<TokenizedExample> {
  const tokenized = await tokenizeExample(answer, tokenizer, template, options);
  return label ? tokenized : { ...tokenized, lossWeights: tokenized.lossWeights.map((weight) => (weight === 0 ? 0 : -weight)) };
}

/** @returns a pair as a good and a bad answer, which is how TRL's KTOTrainer takes it */
export const answersOfPair = ({ chosen, rejected }: PreferenceExample): Pick<LabelledExample, 'answer' | 'label'>[] => [
  { answer: chosen, label: true },
  { answer: rejected, label: false },
];
