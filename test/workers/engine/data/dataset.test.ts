import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { PreparationProgress } from '../../../../workers/engine/contract.ts';
import { type DatasetOptions, readDataset, tokenizeFile } from '../../../../workers/engine/data/dataset.ts';
import { firstExamples } from '../../../../workers/engine/data/example-store.ts';
import { ChatTemplate } from '../../../../workers/engine/data/template/chat-template.ts';
import { Tokenizer } from '../../../../workers/engine/data/tokenizer.ts';

let dir: string;
let base: DatasetOptions;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-dataset-'));
  const tokenizer = await Tokenizer.open(
    fileURLToPath(new URL('../../../fixtures/reference/templates/chatml-generation/tokenizer', import.meta.url)),
  );
  const template = await ChatTemplate.open(tokenizer, new Date(0));
  base = { param: 'training_file', tokenizer, template, vocabSize: 384, maxLengthTokens: 128, truncation: 'error' };
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function read(lines: (object | string)[], options: Partial<DatasetOptions> = {}) {
  const path = join(dir, 'examples.jsonl');
  const text = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line))).join('\n');
  await writeFile(path, text);
  const { examples, ...rest } = await readDataset(path, { ...base, ...options });
  const inMemory = firstExamples(examples, examples.length);
  examples.close();
  return { text, examples: inMemory, ...rest };
}

async function tokenize(lines: object[], options: Partial<DatasetOptions>) {
  const path = join(dir, 'examples.jsonl');
  await writeFile(path, lines.map((line) => JSON.stringify(line)).join('\n'));
  const { examples, ...rest } = await tokenizeFile(path, { ...base, ...options });
  examples.close();
  return rest;
}

const chat = (question: string, answer: string, more: object = {}) => ({
  messages: [
    { role: 'user', content: question },
    { role: 'assistant', content: answer, ...more },
  ],
});
const ten = Array.from({ length: 10 }, (_, index) => chat(`Question ${index}`, `Answer ${index}`));
const long = chat('word '.repeat(200), 'yes');

describe('readDataset', () => {
  it('counts examples, tokens and supervised tokens, and hashes the file', async () => {
    const { examples, facts, sha256, text } = await read(ten);
    const count = (values: Iterable<number>) => [...values].reduce((sum, value) => sum + value, 0);
    expect(facts).toEqual({
      examples: 10,
      tokens: count(examples.map(({ inputIds }) => inputIds.length)),
      supervisedTokens: count(examples.map(({ lossWeights }) => count(lossWeights))),
      longestTokens: Math.max(...examples.map(({ inputIds }) => inputIds.length)),
      truncated: 0,
      dropped: 0,
      warnings: [],
    });
    expect(sha256).toBe(createHash('sha256').update(text).digest('hex'));
  });

  it('warns about few examples, repeated ones and those without a token to train on', async () => {
    const { facts } = await read([...ten.slice(0, 3), ten[0]!, chat('a', 'b', { weight: 0 })]);
    expect(facts).toMatchObject({ examples: 4, dropped: 1 });
    expect(facts.warnings).toEqual([
      'The training file has 4 examples; fewer than 10 are rarely enough.',
      'The training file has 1 repeated example among its 4.',
      'The training file has 1 example without a token to train on, left out; the first is on line 5.',
    ]);
  });

  it('says once a file how examples are learned that are not learned as one would think, with the first line', async () => {
    const cut = { prompt: 'water the ', completion: 'garden' };
    const { facts } = await read([...ten, cut, cut]);
    expect(facts.warnings).toEqual([
      'The training file has 1 repeated example among its 12.',
      'The training file has 2 examples whose prompt does not end where a token ends: the end of the prompt is left out and learned with the answer, so the model is trained on a context that differs from the one it sees in use; the first is on line 11, where this end of the prompt is left out: " ". End prompts without white space, and begin completions with it.',
    ]);
  });

  it('says that nothing ends an example when no file of the model names an eos token, and what to set', async () => {
    const modelDir = join(dir, 'without-eos');
    await mkdir(modelDir, { recursive: true });
    await copyFile(join(base.tokenizer.modelDir, 'tokenizer.json'), join(modelDir, 'tokenizer.json'));
    const tokenizer = await Tokenizer.open(modelDir);
    const warning =
      /^The training file has 10 examples after which the model may never stop.*Set eos_token in tokenizer_config.json, or eos_token_id in/;
    const pairs = ten.map((_, index) => ({ prompt: `${index}`, completion: ' b' }));
    for (const lines of [
      pairs,
      ten,
      pairs.map(({ prompt, completion }) => ({ prompt: chat(prompt, '').messages.slice(0, 1), completion: chat('', completion).messages.slice(1) })),
    ])
      expect((await read(lines, { tokenizer })).facts.warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('says that a template writes no end of a turn, or leaves it unmarked', async () => {
    const of = (body: string) => new ChatTemplate(`{% for m in messages %}${body}{% endfor %}`, { specialTokens: {}, today: new Date(0) });
    const bodies = ["{{ m.role + ': ' + m.content + '\n' }}", '{{ m.role }}{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>'];
    for (const body of bodies)
      expect((await read(ten, { template: of(body) })).facts.warnings).toEqual([
        expect.stringMatching(
          /^The training file has 10 examples with a turn after which the chat template writes no end-of-turn token, or leaves it unmarked/,
        ),
      ]);
    expect((await read(ten, { template: of('{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}') })).facts.warnings).toEqual([]);
  });

  it('refuses a turn of which the template leaves out a part, with what to do, or leaves the example out when told to', async () => {
    const lines = [...ten, chat('Weather?', 'I look.', { tool_calls: [{ function: { name: 'look', arguments: '{}' } }] })];
    await expect(read(lines)).rejects.toMatchObject({
      message: 'line 11 has a turn to learn (message 2) of which the chat template leaves out its call of "look"',
      hint: expect.stringContaining('set incomplete_turns to "drop"'),
    });
    const { facts } = await read(lines, { incompleteTurns: 'drop' });
    expect(facts).toMatchObject({ examples: 10, dropped: 1 });
    expect(facts.warnings).toEqual([
      'The training file has 1 example with a turn of which the chat template leaves out a part, left out; the first is on line 11.',
    ]);
  });

  it('refuses a file without a token to train on and names the first line', async () => {
    await expect(read([chat('a', 'b', { weight: 0 })])).rejects.toMatchObject({
      code: 'invalid_training_file',
      message: 'no example has a token to train on, starting with line 1',
      param: 'training_file',
    });
  });

  it('warns once about each key that training does not use, and refuses an unknown one on all its lines', async () => {
    const named = { ...chat('a', 'b', { name: 'Ann' }), id: 7 };
    const { facts } = await read([...ten, named, { ...named, source: 'x' }]);
    expect(facts.warnings).toEqual([
      'The training file has 1 repeated example among its 12.',
      'The training file has keys that training does not use: "id" (2 lines, first on line 11), "source" (1 line, first on line 12).',
      'Messages of the training file have keys that the model\'s chat template does not read: "name" (2 lines, first on line 11).',
    ]);
    await expect(read([ten[0]!, chat('a', 'b', { wieght: 0 }), chat('c', 'd', { wieght: 1 })])).rejects.toMatchObject({
      message: '2 problems: line 2, message 2 has the unknown key "wieght" (the same on line 3)',
      hint: 'Did you mean "weight"?',
    });
  });

  it('gives a key that the chat template reads to the template', async () => {
    const source =
      "{% for m in messages %}{{ m.content }}{% if 'mood' in m %} [{{ m['mood'] }}]{% endif %}{% generation %}.{% endgeneration %}{% endfor %}";
    const template = new ChatTemplate(source, { specialTokens: base.tokenizer.specialTokens, today: new Date(0) });
    const { facts, receipt } = await tokenize([chat('a', 'b', { mood: 'calm' })], { template });
    expect(receipt.samples[0]!.spans.map(({ text }) => text).join('')).toBe('a.b [calm].');
    expect(facts.warnings.filter((text) => text.includes('mood'))).toEqual([]);
  });

  it('names every example that is too long, its tokens and the limit', async () => {
    await expect(read([ten[0]!, long, long])).rejects.toThrow(/^2 problems: line 2 has \d{3} tokens; the limit is 128 \(the same on line 3\)$/);
  });

  it('keeps the end when it cuts on the left, the beginning on the right, and drops examples when told to drop', async () => {
    const left = await read([...ten, long], { truncation: 'left' });
    expect(left.facts).toMatchObject({ examples: 11, truncated: 1 });
    const cut = left.examples[10]!;
    expect(cut.inputIds.length).toBe(128);
    expect(await base.tokenizer.decode(cut.inputIds)).toContain('yes');
    const right = await read([...ten, long], { truncation: 'right' });
    expect(right.facts).toMatchObject({ examples: 10, dropped: 1 }); // the answer was cut off
    const dropped = await read([...ten, long], { truncation: 'drop' });
    expect(dropped.facts).toMatchObject({ examples: 10, dropped: 1 });
  });

  it('reports the template’s message and the line of a conversation that the template refuses', async () => {
    const template = new ChatTemplate("{{ raise_exception('roles must alternate') }}", { specialTokens: {}, today: new Date(0) });
    await expect(read(ten.slice(0, 1), { template, param: 'validation_file' })).rejects.toMatchObject({
      code: 'invalid_validation_file',
      message: "line 1 is refused by the model's chat template: roles must alternate",
    });
  });

  it('refuses a tokenizer with more tokens than the model', async () => {
    await expect(read(ten, { vocabSize: 5 })).rejects.toThrow(/produces the id \d+, but the model knows only 5 tokens/);
  });

  it('names the first ten lines that the template refuses, in order, although several are tokenised at once', async () => {
    const template = new ChatTemplate("{{ raise_exception('no') }}", { specialTokens: {}, today: new Date(0) });
    const lines = Array.from({ length: 40 }, (_, index) => index + 1);
    await expect(
      read(
        lines.map((line) => (line % 2 === 0 ? { prompt: 'a', completion: 'b' } : chat('a', 'b'))),
        { template },
      ),
    ).rejects.toThrow(/^the first 10 problems: line 1 [^;]+: no \(the same on lines 3, 5, 7, 9, 11, 13, 15, 17 and 19\)$/);
  });

  it('leaves nothing in the temporary folder, neither while its examples are read nor after an error', async () => {
    vi.stubEnv('TMPDIR', await mkdtemp(join(dir, 'tmp-')));
    try {
      const path = join(dir, 'short.jsonl');
      await writeFile(path, ten.map((line) => JSON.stringify(line)).join('\n'));
      const { examples } = await readDataset(path, base);
      expect(await readdir(tmpdir())).toEqual([]);
      expect(examples.read(9).inputIds.length).toBeGreaterThan(0);
      examples.close();
      await expect(readDataset(path, { ...base, vocabSize: 5 })).rejects.toThrow(/knows only 5 tokens/);
      expect(await readdir(tmpdir())).toEqual([]);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it('reports how far it has read a large file', async () => {
    const spaced = ten.map((line) => JSON.stringify(line).replace('{', `{${' '.repeat(2 ** 20)}`));
    const reports: PreparationProgress[] = [];
    const { text } = await read(spaced, { preparing: (progress) => void reports.push(progress) });
    for (const { param, bytesTotal } of reports) expect([param, bytesTotal]).toEqual(['training_file', text.length]);
    for (const [index, { bytesRead }] of reports.entries()) expect(bytesRead).toBeGreaterThanOrEqual((reports[index - 1]?.bytesRead ?? 0) + 2 ** 20);
    expect(reports.length).toBeGreaterThanOrEqual(5);
    // What has been read ahead but not tokenised is at most two megabytes: the window and a chunk.
    for (const { bytesRead, lines } of reports) expect(Math.abs(lines * 2 ** 20 - bytesRead)).toBeLessThanOrEqual(2.1 * 2 ** 20);
  });

  it('names a file that does not exist', async () => {
    await expect(readDataset(join(dir, 'missing.jsonl'), base)).rejects.toThrow(/missing.jsonl does not exist/);
  });
});
