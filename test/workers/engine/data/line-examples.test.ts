import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { type DatasetOptions, tokenizeFile } from '../../../../workers/engine/data/dataset.ts';
import { firstExamples } from '../../../../workers/engine/data/example-store.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

let dir: string;
let tokenizer: Tokenizer;
let template: ChatTemplate;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-line-examples-'));
  tokenizer = await Tokenizer.open(referencePath('templates', 'chatml-generation', 'tokenizer'));
  template = (await ChatTemplate.open(tokenizer, new Date(0)))!;
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function read(lines: object[], given: Partial<DatasetOptions> = {}) {
  const path = join(dir, 'lines.jsonl');
  await writeFile(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  const base = { param: 'training_file', tokenizer, template, vocabSize: 384, maxLengthTokens: 128, truncation: 'error' } as const;
  const { examples: file, ...rest } = await tokenizeFile(path, { ...base, ...given });
  const examples = firstExamples(file, file.length);
  const lineOf = examples.map((_, index) => file.lineOf(index));
  file.close();
  return { examples, lineOf, ...rest };
}

const user = (content: string) => ({ role: 'user', content });
const assistant = (content: string, weight?: number) => ({ role: 'assistant', content, ...(weight !== undefined && { weight }) });

describe('an answer for KTO', () => {
  it('has the tokens of its completion, with a negative weight if it is bad; a pair is two of them', async () => {
    const families = ['labelled', 'preference'] as const;
    const prompt = [user('a tree')];
    const completion = [assistant('a graft')];
    const { examples: imitated } = await read([{ prompt, completion }]);
    const { examples, lineOf } = await read(
      [
        { prompt, completion, label: true },
        { prompt, completion, label: false },
        { prompt, chosen: completion, rejected: [assistant('a garden')] },
      ],
      { families },
    );
    const [{ inputIds, lossWeights }] = imitated as [(typeof imitated)[number]];
    expect(examples.slice(0, 3)).toEqual([
      { inputIds, lossWeights },
      { inputIds, lossWeights: lossWeights.map((weight) => (weight === 0 ? 0 : -weight)) },
      { inputIds, lossWeights },
    ]);
    expect(Math.min(...examples[3]!.lossWeights)).toBe(-1);
    expect(lineOf).toEqual([1, 2, 3, 3]);
  });
});

describe('a plain text', () => {
  it('is learned whole, its end too, and cut into pieces that together learn each token once', async () => {
    const text = 'the garden has a tree and a graft '.repeat(5);
    const { ids } = await tokenizer.encode(text + tokenizer.eosToken, { addSpecialTokens: true });
    const whole = await read([{ text }, { text: 'a tree' }], { maxLengthTokens: 4096 });
    expect([...whole.examples[0]!.inputIds]).toEqual([...ids]);
    expect([...whole.examples[0]!.lossWeights]).toEqual([0, ...Array.from({ length: ids.length - 1 }, () => 1)]);
    expect(whole.receipt).not.toHaveProperty('made');

    const cut = await read([{ text }, { text: 'a tree' }], { maxLengthTokens: 16 });
    const pieces = cut.examples.slice(0, -1);
    expect(pieces.flatMap(({ inputIds, lossWeights }) => [...inputIds].filter((_, index) => lossWeights[index] !== 0))).toEqual([...ids.slice(1)]);
    expect(pieces.every(({ inputIds }) => inputIds.length <= 16)).toBe(true);
    expect(cut.receipt).toMatchObject({
      lines: 2,
      examples: pieces.length + 1,
      made: { texts: 1, pieces: pieces.length, conversations: 0, turns: 0 },
    });
    expect(cut.lineOf).toEqual([...pieces.map(() => 1), 2]);
    expect(cut.facts.warnings).toContain(`The training file has 1 text longer than 16 tokens, cut into ${pieces.length} examples.`);
  });

  it('with truncation "drop" › is left out if it is too long, as other examples are', async () => {
    const { receipt } = await read([{ text: 'a tree '.repeat(40) }, { text: 'a tree' }], { maxLengthTokens: 16, truncation: 'drop' });
    expect(receipt).toMatchObject({ examples: 1, too_long: { dropped: 1, lines: [1] } });
  });
});

describe('weights', () => {
  const weightsOf = ({ lossWeights }: { lossWeights: Float32Array }) => [...new Set(lossWeights)].sort();

  it('of turns and of the example multiply, and are those of the tokens', async () => {
    const messages = [user('Where?'), assistant('Here.', 0.5), user('And now?'), assistant('There.')];
    const { examples } = await read([
      { messages },
      { messages, weight: 2 },
      { prompt: 'a', completion: ' tree', weight: 0.25 },
      { text: 'a tree', weight: 3 },
    ]);
    expect(examples.map(weightsOf)).toEqual([
      [0, 0.5, 1],
      [0, 1, 2],
      [0, 0.25],
      [0, 3],
    ]);
    const { receipt } = await read([{ messages, weight: 0 }, { text: 'a tree' }]);
    expect(receipt.nothing_to_learn).toMatchObject({ examples: 1, lines: [1] });
  });
});

describe('multi_turn "split"', () => {
  const messages = [user('One?'), assistant('First.'), user('Two?'), assistant('Second.', 0), user('Three?'), assistant('Third.', 0.5)];
  const learned = async (given: Partial<DatasetOptions>) => {
    const { examples, ...rest } = await read([{ messages }, { messages: messages.slice(0, 2) }], given);
    const texts = await Promise.all(
      examples.map(async ({ inputIds, lossWeights }) => {
        const decode = (ids: Int32Array) => tokenizer.decode(ids, { specialTokens: true });
        return { text: await decode(inputIds), learned: await decode(inputIds.filter((_, index) => lossWeights[index] !== 0)) };
      }),
    );
    return { texts, ...rest };
  };

  it('makes an example of each turn to learn, with what comes before it, and counts them', async () => {
    const { texts, receipt, facts } = await learned({ multiTurn: 'split' });
    expect(texts.map((one) => one.learned.replaceAll(/<\|[^|]*\|>|\s/g, ''))).toEqual(['First.', 'Third.', 'First.']);
    expect(texts[0]!.text).not.toContain('Two?');
    expect(texts[1]!.text).toContain('Second.');
    expect(receipt).toMatchObject({ lines: 2, examples: 3, made: { conversations: 1, turns: 2 } });
    expect(facts.warnings).toContain('The training file has 1 conversation with several turns to learn, made into 2 examples.');
    expect((await learned({})).receipt.examples).toBe(2);
  });

  it('is the way out where the template marks fewer turns than there are', async () => {
    const marksLast =
      '{% for m in messages %}{% if loop.last %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}';
    const of = new ChatTemplate(marksLast, { specialTokens: {}, today: new Date(0) });
    await expect(learned({ template: of })).rejects.toMatchObject({
      message: expect.stringContaining('has 3 assistant messages, but the chat template marks 1'),
      hint: expect.stringContaining('multi_turn to "split"'),
    });
    const { texts } = await learned({ template: of, multiTurn: 'split' });
    expect(texts.map((one) => one.learned.replace('<|im_end|>', ''))).toEqual(['First.', 'Third.', 'First.']);
  });
});
