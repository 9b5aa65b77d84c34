/** A prompt and its completion as TRL tokenises them. */

import { commonPrefixLength } from '../../../src/formats/common-prefix.ts';
import type { CompletionExample } from '../../../src/formats/examples.ts';
import type { Example } from './batch.ts';
import type { Notice } from './notices.ts';
import { joinSequences } from './sequences.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TokenizedExample extends Example {
  /** What the user should know of how it is learned. */
  notices: Notice[];
}

/** The completion ends with the eos token, which is added where it is missing. */
export async function tokenizeCompletion({ prompt, completion }: CompletionExample, tokenizer: Tokenizer): Promise<TokenizedExample> {
  const { eosToken } = tokenizer;
  const ended = completion.endsWith(eosToken) ? completion : completion + eosToken;
  const before = await tokenizer.encode(prompt, { addSpecialTokens: true });
  const whole = await tokenizer.encode(prompt + ended, { addSpecialTokens: true });
  const example = await learnedAfter(before.ids, whole.ids, tokenizer);
  return eosToken === '' ? { ...example, notices: [...example.notices, { kind: 'no_eos' }] } : example;
}

/**
 * TRL 1.16's rule: what is learned starts where the tokens of the prompt and of the whole diverge, which is before the prompt's end if a token lies
 * across that, or if the tokenizer ends every text with a token of its own.
 */
export async function learnedAfter(prompt: Int32Array, whole: Int32Array, tokenizer: Tokenizer): Promise<TokenizedExample> {
  const start = commonPrefixLength(prompt, whole);
  const cut = prompt.subarray(start);
  const notices: Notice[] =
    cut.length === 0 ? [] : [{ kind: 'prompt_cut', detail: JSON.stringify(await tokenizer.decode(cut, { specialTokens: true })) }];
  return { ...joinSequences([{ inputIds: whole, lossWeights: new Float32Array(whole.length).fill(1, start) }]), notices };
}
