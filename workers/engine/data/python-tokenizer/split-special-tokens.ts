/** `split_special_tokens`: special tokens in text are text. The core has no switch for it, so another one is loaded that does not know them. */
import type { AddedToken } from './added-token.ts';
import { badTokenizer } from './bad-tokenizer.ts';
import { changed, type Source } from './tokenizer-source.ts';

/**
 * Special tokens after the vocabulary stay, under texts that nobody writes, so that other tokens keep their ids.
 * @throws Refusal where Python's would hide other added tokens: those that begin inside a special token
 */
export function withoutSpecial(source: Source, added: AddedToken[]): [Source, AddedToken[]] {
  const { vocab } = source.whole()['model'] as { vocab: Record<string, number> };
  const all = [...source.added, ...added];
  const special = new Set(all.filter((token) => token.isSpecial).map(String));
  const hidden = all.find(({ content }) => !special.has(content) && [...special].some((text) => beginsInside(content, text)));
  if (hidden !== undefined)
    throw badTokenizer(
      `split_special_tokens is set, and the added token ${JSON.stringify(hidden.content)} overlaps a special token`,
      'Remove split_special_tokens from tokenizer_config.json.',
    );
  const kept = all.flatMap((token) => {
    if (!special.has(token.content)) return [token];
    return Object.hasOwn(vocab, token.content) ? [] : [token.named(`\u{10fffe}${token.content}\u{10ffff}`)];
  });
  return [changed(source, { added_tokens: [] }), kept];
}

function beginsInside(token: string, text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const rest = text.slice(at);
    if (rest.startsWith(token) || token.startsWith(rest)) return true;
  }
  return false;
}
