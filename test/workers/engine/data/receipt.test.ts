import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DatasetOptions, tokenizeFile } from '../../../../workers/engine/data/dataset.ts';
import { decodeSpans } from '../../../../workers/engine/data/decoded-spans.ts';
import { firstExamples } from '../../../../workers/engine/data/example-store.ts';
import { tokenReceipt } from '../../../../workers/engine/data/receipt.ts';
import { joinSequences } from '../../../../workers/engine/data/sequences.ts';
import { SAMPLE_TOKENS } from '../../../../workers/engine/data/tally.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

let dir: string;
let base: DatasetOptions;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-receipt-'));
  const tokenizer = await Tokenizer.open(
    fileURLToPath(new URL('../../../fixtures/reference/templates/chatml-generation/tokenizer', import.meta.url)),
  );
  const template = await ChatTemplate.open(tokenizer, new Date(0));
  base = { param: 'training_file', tokenizer, template, vocabSize: 384, maxLengthTokens: 128, truncation: 'error' };
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function read(lines: object[], options: Partial<DatasetOptions> = {}) {
  const path = join(dir, 'examples.jsonl');
  await writeFile(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  return tokenizeFile(path, { ...base, ...options });
}

const pair = (prompt: string, completion: string) => ({ prompt, completion });
const short = Array.from({ length: 4 }, (_, index) => pair(`Question ${index} `, `Answer ${index}`));
const longAnswer = pair('Go on ', 'word '.repeat(200));
const longPrompt = pair('word '.repeat(200), 'Done');

describe('the receipt of a file with examples that are too long', () => {
  const file = [...short, longAnswer, longPrompt];

  it('counts those cut on the right, and those left with nothing to learn', async () => {
    const { receipt, problem } = await read(file, { truncation: 'right' });
    expect(problem).toBeNull();
    expect(receipt).toMatchObject({
      lines: 6,
      examples: 5,
      too_long: { examples: 2, truncated: 1, dropped: 0, lines: [5, 6] },
      nothing_to_learn: { examples: 1, after_truncation: 1, lines: [6] },
    });
    expect(receipt.longest.tokens).toBeGreaterThan(128);
  });

  it('counts those cut on the left, or dropped', async () => {
    expect((await read(file, { truncation: 'left' })).receipt.too_long).toEqual({ examples: 2, truncated: 2, dropped: 0, lines: [5, 6] });
    const { receipt } = await read(file, { truncation: 'drop' });
    expect(receipt).toMatchObject({ examples: 4, too_long: { examples: 2, truncated: 0, dropped: 2 }, nothing_to_learn: { examples: 0 } });
  });

  it('counts every one when truncation is "error", even more than the error names', async () => {
    const { receipt, problem } = await read([...short, ...Array.from({ length: 25 }, () => longAnswer)]);
    expect(receipt.too_long).toMatchObject({ examples: 25, truncated: 0, dropped: 0, lines: [5, 6, 7, 8, 9, 10, 11, 12, 13, 14] });
    expect(problem?.message).toMatch(/^the first 10 problems: line 5 has \d+ tokens/);
  });
});

describe('the receipt of two files', () => {
  it('counts the validation examples that are also in the training file', async () => {
    const training = await read(short);
    const validation = await read([short[1]!, pair('Question 1 ', 'Another answer'), short[1]!], { param: 'validation_file' });
    const how = { ...base, today: new Date(0) };
    expect(tokenReceipt({ training, validation }, how)).toMatchObject({ overlap: 2, validation: { examples: 3, duplicates: 1 } });
    expect(tokenReceipt({ training, validation: null }, how)).toMatchObject({ overlap: null, validation: null });
  });
});

describe('a sample of the receipt', () => {
  it('shows what the model reads, with supervised spans marked and emoji intact', async () => {
    const { examples } = await read([pair('Say 🌳: ', 'A 👩‍🌾 says "é" \u0000')]);
    const spans = await decodeSpans(examples.read(0), base.tokenizer, SAMPLE_TOKENS);
    expect(spans.map(({ supervised }) => supervised)).toEqual([false, true]);
    expect(spans[0]!.text).toBe('Say 🌳: ');
    expect(spans[1]!.text).toBe(`A 👩‍🌾 says "é" \0${base.tokenizer.eosToken}`);
  });

  it('shows a character that is split between two runs once, in the second', async () => {
    const { ids } = await base.tokenizer.encode('a🌳b', { addSpecialTokens: false });
    const lossWeights = Float32Array.from(ids, (_, index) => (index >= 3 ? 1 : 0)); // within the tree's four bytes
    const spans = await decodeSpans({ inputIds: ids, lossWeights }, base.tokenizer, SAMPLE_TOKENS);
    expect(spans.map(({ text }) => text)).toEqual(['a', '🌳b']);
  });

  it('of an example of several texts shows where each starts', async () => {
    const { examples } = await read([pair('One', ' two'), pair('Three', ' four')]);
    const spans = await decodeSpans(joinSequences(firstExamples(examples, 2)), base.tokenizer, SAMPLE_TOKENS);
    expect(spans).toEqual([
      { text: 'One', supervised: false },
      { text: ' two<|im_end|>', supervised: true },
      { text: 'Three', supervised: false, starts_text: true },
      { text: ' four<|im_end|>', supervised: true },
    ]);
  });

  it('of a long example ends after the tokens that the receipt states', async () => {
    const { receipt } = await read([pair('Count ', 'one '.repeat(1500))], { maxLengthTokens: 10_000 });
    const [sample] = receipt.samples;
    expect(sample!.tokens).toBeGreaterThan(SAMPLE_TOKENS);
    expect(sample!.shown_tokens).toBe(SAMPLE_TOKENS);
    expect(JSON.stringify(sample).length).toBeLessThan(10 * SAMPLE_TOKENS);
  });
});
