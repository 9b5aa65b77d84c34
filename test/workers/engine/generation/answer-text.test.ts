import { beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { corpusBlocks, TOKENIZER_KINDS } from '../../../../reference/tokenizer-measures.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { AnswerText } from '../../../../workers/engine/generation/answer-text.ts';
import type { GeneratedPiece } from '../../../../workers/engine/generation/contract.ts';
import { StopTexts } from '../../../../workers/engine/generation/stop-texts.ts';

const LINES = 120;
/** Half of a surrogate pair. */
const LONE = /\p{Surrogate}/u;
const lines = corpusBlocks().flat().slice(0, LINES);

async function pieces(tokenizer: Tokenizer, ids: Iterable<number>, stop: readonly string[] = []): Promise<GeneratedPiece[]> {
  const answer = new AnswerText(tokenizer, stop);
  const found: GeneratedPiece[] = [];
  for (const id of ids) {
    const { piece, stopped } = await answer.push(id, { tokenId: id, text: '', bytes: [], logprob: -id, top: [] });
    if (piece !== null) found.push(piece);
    if (stopped) return found;
  }
  const last = await answer.end();
  return last === null ? found : [...found, last];
}
const textOf = (found: GeneratedPiece[]): string => found.map(({ text }) => text).join('');
const idsOf = (found: GeneratedPiece[]): number[] => found.flatMap(({ tokenIds }) => [...tokenIds]);

describe.each(TOKENIZER_KINDS)('AnswerText › with the tokenizer that %s uses', (kind) => {
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
  });

  it('gives piece by piece what decoding all at once gives, in whole characters and with every token once', async () => {
    for (const line of lines) {
      const { ids } = await tokenizer.encode(line, { addSpecialTokens: false });
      const found = await pieces(tokenizer, ids);
      const whole = (await tokenizer.decode(ids)).replaceAll('\0', '\uFFFD');
      expect(textOf(found), line).toBe(whole);
      expect(idsOf(found)).toEqual([...ids]);
      expect(found.flatMap(({ logprobs }) => logprobs.map(({ tokenId }) => tokenId))).toEqual([...ids]);
      if (!whole.includes('\uFFFD')) for (const { text } of found) expect(LONE.test(text) || text.includes('\uFFFD'), line).toBe(false);
    }
  });

  it('gives out the replacement character for a NUL, which could not be sent back in a conversation', async () => {
    const { ids } = await tokenizer.encode('a\0b', { addSpecialTokens: false });
    const whole = await tokenizer.decode(ids);
    const text = textOf(await pieces(tokenizer, ids));
    expect(text).toBe(whole.replaceAll('\0', '\uFFFD'));
    expect(text).not.toContain('\0');
  });

  it('knows each token’s bytes: together they are the text’s', async () => {
    for (const line of lines) {
      const { ids } = await tokenizer.encode(line, { addSpecialTokens: false });
      const bytes = await Promise.all([...ids].map((id) => tokenizer.bytes(id)));
      const text = Buffer.concat(bytes).toString();
      // SentencePiece writes a space before the first word, which decoding removes.
      expect([text, text.replace(/^ /, '')], line).toContain(await tokenizer.decode(ids, { specialTokens: true }));
    }
  });

  it('gives out bytes that complete no character at the end, and soon if more of them come', async () => {
    const { ids } = await tokenizer.encode('𝒳', { addSpecialTokens: false });
    const lead = [...ids].at(-4)!;
    expect(textOf(await pieces(tokenizer, [lead]))).toBe(await tokenizer.decode([lead]));
    const many = Array.from({ length: 40 }, () => lead);
    const found = await pieces(tokenizer, many);
    expect(found.length).toBeGreaterThan(4);
    expect(textOf(found).replaceAll('\uFFFD', '')).toBe('');
  });
});

describe('AnswerText › with stop texts', () => {
  let tokenizer: Tokenizer;
  let ids: number[];
  const text = 'The gardener cut a graft.\n\nQuestion: and then? 🙂 He went home.';
  beforeAll(async () => {
    tokenizer = await Tokenizer.open(referencePath('tokenizers', 'smollm'));
    ids = [...(await tokenizer.encode(text, { addSpecialTokens: false })).ids];
  });

  it('ends before the first of them, wherever tokens begin and end', async () => {
    for (let start = 1; start < text.length; start++) {
      for (const length of [1, 2, 5, 12]) {
        const stop = text.slice(start, start + length);
        if (LONE.test(stop)) continue;
        const found = await pieces(tokenizer, ids, ['never there', stop]);
        const wanted = text.slice(0, text.indexOf(stop));
        expect(textOf(found)).toBe(wanted);
        const tokens = idsOf(found);
        expect(tokens).toEqual(ids.slice(0, tokens.length));
        expect((await tokenizer.decode(tokens)).startsWith(wanted)).toBe(true);
        // No token is the stop text's alone. Of the emoji's tokens, the first also has the space before it.
        if (!stop.startsWith('🙂'))
          expect((await tokenizer.decode(tokens.slice(0, -1))).replace(/\uFFFD+$/, '').length).toBeLessThan(Math.max(1, wanted.length));
      }
    }
  });

  it('gives out what only began like one, and no text twice', async () => {
    expect(textOf(await pieces(tokenizer, ids, ['home. And', 'graft.\n\nAnswer', '🙃']))).toBe(text);
  });

  it('leaves special tokens out of the text, and keeps the space after them', async () => {
    const sentencePiece = await Tokenizer.open(referencePath('tokenizers', 'llama2'));
    const { ids: words } = await sentencePiece.encode('gardener cut the graft', { addSpecialTokens: false });
    const end = [...sentencePiece.stopTokenIds][0]!;
    const found = await pieces(sentencePiece, [...words.slice(0, 4), end, ...words.slice(4)]);
    expect(textOf(found)).toBe('gardener cut the graft');
    expect(idsOf(found)).toContain(end);
  });
});

describe('StopTexts', () => {
  it('holds back no more than may begin a stop text', () => {
    const stops = new StopTexts(['', 'abac', 'bad']);
    expect(stops.push('xaba')).toEqual({ text: 'x', stopped: false });
    expect(stops.push('ba')).toEqual({ text: 'ab', stopped: false });
    expect(stops.push('q')).toEqual({ text: 'abaq', stopped: false });
    expect(stops.push('ab')).toEqual({ text: '', stopped: false });
    expect(stops.end()).toBe('ab');
    expect(stops.end()).toBe('');
  });

  it('ends before the earliest of several that end together', () => {
    expect(new StopTexts(['bcd', 'abcd']).push('xabcdy')).toEqual({ text: 'x', stopped: true });
  });
});
