/** A plain text, every token of which is learned: continued pre-training. */
import type { TextExample } from '../../../src/formats/examples.ts';
import type { TokenizedExample } from './completion.ts';
import { joinSequences } from './sequences.ts';
import type { Tokenizer } from './tokenizer.ts';

/** As TRL tokenises it: with the tokenizer's special tokens, and the eos token at the end, which is added where it is missing. */
export async function tokenizeText({ text }: TextExample, tokenizer: Tokenizer): Promise<TokenizedExample> {
  const { eosToken } = tokenizer;
  const { ids } = await tokenizer.encode(text.endsWith(eosToken) ? text : text + eosToken, { addSpecialTokens: true });
  const example = joinSequences([{ inputIds: ids, lossWeights: new Float32Array(ids.length).fill(1) }]);
  return { ...example, notices: eosToken === '' ? [{ kind: 'no_eos' }] : [] };
}
