import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referencePath } from '../../../../reference/fixtures.ts';
import { microBatches } from '../../../../workers/engine/data/batches.ts';
import { type DatasetOptions, tokenizeFile } from '../../../../workers/engine/data/dataset.ts';
import { firstExamples, inMemory } from '../../../../workers/engine/data/example-store.ts';
import { teacherOfTurn } from '../../../../workers/engine/data/teacher-tokens.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';
import { withVirtualTokens } from '../../../../workers/engine/data/virtual-tokens.ts';
import { processorStopwatch } from '../../../processor-time.ts';

let dir: string;
let tokenizer: Tokenizer;
let template: ChatTemplate;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-distilled-'));
  tokenizer = await Tokenizer.open(referencePath('templates', 'chatml-generation', 'tokenizer'));
  template = (await ChatTemplate.open(tokenizer, new Date(0)))!;
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function read(lines: object[], given: Partial<DatasetOptions> = {}) {
  const path = join(dir, 'lines.jsonl');
  await writeFile(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  const base = {
    param: 'training_file',
    tokenizer,
    template,
    vocabSize: 384,
    maxLengthTokens: 128,
    truncation: 'error',
    families: ['distilled'],
  } as const;
  const { examples: file, ...rest } = await tokenizeFile(path, { ...base, ...given });
  const examples = firstExamples(file, file.length);
  file.close();
  return { examples, ...rest };
}

const user = (content: string) => ({ role: 'user', content });

/** The tokens of a text as a teacher with this tokenizer returns them, each with itself and one other token. */
async function logprobs(text: string, { bytes = true }: { bytes?: boolean } = {}) {
  const { ids } = await tokenizer.encode(text, { addSpecialTokens: false });
  const one = async (id: number, logprob: number) => {
    const own = await tokenizer.bytes(id);
    return { token: Buffer.from(own).toString('utf8'), logprob, bytes: bytes ? [...own] : null };
  };
  const content = [];
  for (const [index, id] of ids.entries()) {
    const chosen = await one(id, -0.5 - index);
    const other = await one(id === 300 ? 301 : 300, -2);
    content.push({ ...chosen, top_logprobs: [chosen, other] });
  }
  return { content };
}
const taught = async (content: string, more: object = {}) => ({ role: 'assistant', content, logprobs: await logprobs(content), ...more });

describe('a conversation with the log-probabilities of a teacher', () => {
  it('has them at the tokens of its answer, and none at what the template adds', async () => {
    const { examples, receipt } = await read([{ messages: [user('a tree'), await taught('The garden.')] }]);
    const [{ inputIds, lossWeights, teacher }] = examples as [(typeof examples)[number]];
    const { ids } = await tokenizer.encode('The garden.', { addSpecialTokens: false });
    expect([...teacher!.at].map((at) => inputIds[at])).toEqual([...ids]);
    expect([...teacher!.counts]).toEqual([...ids].map(() => 2));
    expect([...teacher!.ids]).toEqual([...ids].flatMap((id) => [id, 300]));
    expect([...teacher!.logProbabilities]).toEqual([...ids].flatMap((_, index) => [-0.5 - index, -2]));
    // The end of the turn is learned too.
    const learned = [...lossWeights].filter((weight) => weight !== 0).length;
    expect(learned).toBe(ids.length + 1);
    expect(receipt).toMatchObject({ supervised_tokens: learned, teacher_tokens: ids.length, samples: [{ teacher_tokens: ids.length }] });
  });

  it('has only those of turns that are learned, and need not have them for each', async () => {
    const messages = [
      user('a'),
      await taught('one', { weight: 0 }),
      user('b'),
      await taught('The garden.'),
      user('c'),
      { role: 'assistant', content: 'two' },
    ];
    const { examples } = await read([{ messages }]);
    const { ids } = await tokenizer.encode('The garden.', { addSpecialTokens: false });
    expect([...examples[0]!.teacher!.at].map((at) => examples[0]!.inputIds[at])).toEqual([...ids]);
  });

  it('finds a character whose bytes are several tokens, also where the server does not give them', async () => {
    const content = 'You 🙂.';
    const { examples: whole } = await read([{ messages: [user('a'), await taught(content)] }]);
    const { examples } = await read([{ messages: [user('a'), { role: 'assistant', content, logprobs: await logprobs(content, { bytes: false }) }] }]);
    expect(examples[0]!.teacher!.at).toEqual(whole[0]!.teacher!.at);
  });

  it('leaves out alternatives that the vocabulary does not have, and says so; -9999 counts as a probability of 0', async () => {
    const answer = await taught('garden');
    answer.logprobs.content[0]!.top_logprobs.push({ token: 'Unbekannt', logprob: -3, bytes: null }, { token: '.', logprob: -9999, bytes: null });
    const { examples, facts } = await read([{ messages: [user('a'), answer] }]);
    expect(examples[0]!.teacher!.counts[0]).toBe(2);
    expect(facts.warnings.join()).toContain('such as "Unbekannt"');
  });

  it('of another tokenizer is refused by line, message and token, with the way out', async () => {
    const answer = await taught('The garden.');
    answer.logprobs.content.splice(
      1,
      1,
      { token: ' gar', logprob: -1, bytes: null, top_logprobs: [] },
      { token: 'den', logprob: -1, bytes: null, top_logprobs: [] },
    );
    const lines = [{ messages: [user('a'), await taught('one')] }, { messages: [user('a'), answer] }];
    await expect(read(lines)).rejects.toMatchObject({
      message: expect.stringMatching(/line 2 has "logprobs" \(message 2\) of other tokens than the model's: token 2 is " gar"/),
      hint: expect.stringContaining('Use a teacher with the tokenizer of the model'),
    });
  });

  it('without logprobs is refused by line', async () => {
    const lines = [{ messages: [user('a'), await taught('one')] }, { messages: [user('a'), { role: 'assistant', content: 'two' }] }];
    await expect(read(lines)).rejects.toMatchObject({ message: expect.stringMatching(/line 2 is a supervised example/) });
  });

  it('is learned without them by supervised training', async () => {
    const { examples } = await read([{ messages: [user('a'), await taught('The garden.')] }], { families: ['supervised', 'distilled'] });
    expect(examples[0]!.teacher).toBeUndefined();
  });

  it('keeps them in each turn of a split conversation, and in what is left of one that is cut', async () => {
    const messages = [user('a'), await taught('one'), user('b'), await taught('The garden.')];
    const { examples } = await read([{ messages }], { multiTurn: 'split' });
    const textOf = async ({ inputIds, teacher }: (typeof examples)[number]) => tokenizer.decode([...teacher!.at].map((at) => inputIds[at]!));
    expect(await Promise.all(examples.map(textOf))).toEqual(['one', 'The garden.']);
    const [, whole] = examples as [(typeof examples)[number], (typeof examples)[number]];
    const cutBy = whole.inputIds.length - whole.teacher!.at[1]!;
    const { examples: cut } = await read([{ messages: messages.slice(2) }], { truncation: 'left', maxLengthTokens: cutBy });
    expect([...cut[0]!.teacher!.at]).toEqual([...whole.teacher!.at].slice(1).map((at) => at - whole.teacher!.at[1]!));
  });
});

describe('the tokens of a teacher', () => {
  it.each(['llama2', 'gemma', 'qwen'])('in a vocabulary like that of %s › are found where the server wrote them as text', async (kind) => {
    const tokenizer = await Tokenizer.open(referencePath('tokenizers', kind));
    const { ids } = await tokenizer.encode('The garden, 🙂 is', { addSpecialTokens: false });
    const written = [];
    for (const [index, id] of ids.entries()) {
      const own = await tokenizer.bytes(id);
      const dropped = index === 0 && tokenizer.dropsFirstSpace ? own.subarray(1) : own;
      const token = Buffer.from(dropped).toString('utf8');
      const chosen = { token, bytes: Buffer.from(token), logprob: -1 };
      const other = index === 0 && tokenizer.dropsFirstSpace ? 'is' : ' is';
      written.push({
        ...chosen,
        top: [chosen, { token: other, bytes: Buffer.from(other), logprob: -2 }, { token: '\uFFFD', bytes: Buffer.from('\uFFFD'), logprob: -3 }],
      });
    }
    const { teacher, notices } = await teacherOfTurn({ ids, tokens: [0, ids.length], message: 1 }, written, tokenizer);
    const is = ids.at(-1)!;
    expect([...teacher.at]).toEqual([...ids.keys()]);
    expect([...teacher.ids]).toEqual([...ids].flatMap((id) => (id === is ? [id] : [id, is])));
    expect(notices).toEqual([{ kind: 'teacher_unknown', detail: '"\uFFFD"' }]);
  });

  it('that repeat themselves thousands of times, and then differ › are refused within seconds', async () => {
    const ids = new Int32Array(30_000).fill(300);
    const bytes = await tokenizer.bytes(300);
    const token = { token: 'x', bytes, logprob: -1, top: [] };
    const written = [...Array(20_000).fill(token), { ...token, bytes: Buffer.from('?!') }];
    const spentMs = processorStopwatch();
    await expect(teacherOfTurn({ ids, tokens: [0, ids.length], message: 1 }, written, tokenizer)).rejects.toThrow(/token 20001 is "x"/);
    expect(spentMs()).toBeLessThan(20_000);
  });
});

describe('a pass with several examples in a row', () => {
  it('has what the teacher thinks of each token at its place', async () => {
    const { examples } = await read([{ messages: [user('a'), await taught('one')] }, { messages: [user('b'), await taught('The garden.')] }]);
    const virtual = { count: 3, firstId: 384 };
    for (const options of [{}, { virtual }]) {
      const [batch] = [...microBatches(inMemory(examples), { tokenBudget: 128, ...options })];
      const { teacher, inputIds } = batch!;
      const expected = examples.flatMap(({ teacher, inputIds }) => [...teacher!.at].map((at) => inputIds[at]!));
      expect([...teacher!.at].map((at) => inputIds[at]!).sort()).toEqual(expected.sort());
      expect(teacher!.counts.reduce((sum, count) => sum + count, 0)).toBe(teacher!.ids.length);
      expect([...teacher!.at]).toEqual([...teacher!.at].sort((a, b) => a - b));
    }
    expect(withVirtualTokens(examples[0]!, virtual).teacher!.at[0]).toBe(examples[0]!.teacher!.at[0]! + 3);
  });
});
