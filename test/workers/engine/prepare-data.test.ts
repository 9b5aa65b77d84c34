import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TokenReceipt } from '../../../src/formats/token-receipt.ts';
import type { TrainOptions } from '../../../workers/engine/contract.ts';
import { firstExamples } from '../../../workers/engine/data/example-store.ts';
import { prepareData, type RunData } from '../../../workers/engine/prepare-data.ts';
import { sameAnswer } from '../../journey/dataset.ts';

const fixture = fileURLToPath(new URL('../../fixtures/reference/cases/llama-gqa-tied/model', import.meta.url));
const resolved = { vocabSize: 384, maxLengthTokens: 128, truncation: 'error' as const };
const firstDay = new Date('2026-02-03T04:05:06.789Z');

let root: string;
let modelDir: string;
const open: RunData[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'graft-prepare-data-'));
  modelDir = join(root, 'model');
  await cp(fixture, modelDir, { recursive: true });
});
afterEach(() => {
  for (const data of open.splice(0)) data.close();
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A run in a folder of its own, with a training file of 12 examples and a validation file of 3. */
async function aRun(given: Partial<TrainOptions> = {}): Promise<TrainOptions & { tokensDir: string }> {
  const dir = await mkdtemp(join(root, 'run-'));
  writeFileSync(join(dir, 'training.jsonl'), sameAnswer(12));
  writeFileSync(join(dir, 'validation.jsonl'), sameAnswer(3));
  return {
    modelDir,
    trainingFile: join(dir, 'training.jsonl'),
    validationFile: join(dir, 'validation.jsonl'),
    outputDir: join(dir, 'out'),
    tokensDir: join(dir, 'tokens'),
    tuning: { type: 'lora' },
    hyperparameters: {},
    seed: 0,
    ...given,
  };
}

async function prepareOnce(options: TrainOptions, { startedOn = null, ...change }: Partial<typeof resolved> & { startedOn?: Date | null } = {}) {
  const data = await prepareData(options, { ...resolved, ...change }, startedOn);
  open.push(data);
  return data;
}

/** What tells the folder of a file that is kept from one that took its place. */
const made = ({ tokensDir }: { tokensDir: string }, param = 'training_file') => statSync(join(tokensDir, param)).ino;
const examplesOf = ({ training, validation }: RunData) => [training, validation!].map(({ examples }) => firstExamples(examples, examples.length));

describe('prepareData › again in the folder of an earlier attempt', () => {
  it('takes the tokens of that attempt, with its receipt, facts and date', async () => {
    const options = await aRun();
    const first = await prepareOnce(options, { startedOn: firstDay });
    const kept = made(options);
    const receipts: TokenReceipt[] = [];
    const again = await prepareOnce({ ...options, report: { receipt: (receipt) => void receipts.push(receipt) } });
    expect(made(options)).toBe(kept);
    expect(examplesOf(again)).toEqual(examplesOf(first));
    expect(again.receipt).toEqual(first.receipt);
    expect(receipts).toEqual([first.receipt]);
    expect([again.training.facts, again.validation!.facts]).toEqual([first.training.facts, first.validation!.facts]);
    expect(again.today).toEqual(firstDay);
    expect(first.receipt).toMatchObject({ overlap: 3, training: { examples: 12 }, validation: { examples: 3 } });
  });

  it('with other data than in that attempt has a date of its own', async () => {
    const options = await aRun();
    await prepareOnce(options, { startedOn: firstDay });
    writeFileSync(options.trainingFile, sameAnswer(11));
    expect((await prepareOnce(options)).today.getTime()).toBeGreaterThan(firstDay.getTime() + 1000);
  });

  it('whatever does not decide the tokens may change', async () => {
    const options = await aRun();
    await prepareOnce(options, { startedOn: firstDay });
    const kept = made(options);
    const others: Partial<TrainOptions> = { seed: 5, tuning: { type: 'full' }, hyperparameters: { n_epochs: 9 }, resumeFrom: root, outputDir: root };
    await prepareOnce({ ...options, ...others }, { startedOn: firstDay });
    expect(made(options)).toBe(kept);
  });

  it.each<[string, (options: TrainOptions) => unknown]>([
    ['another training file', ({ trainingFile }) => appendFileSync(trainingFile, '{"prompt": "a", "completion": "b"}\n')],
    ['another maximum length', () => ({ maxLengthTokens: 127 })],
    ['another truncation', () => ({ truncation: 'right' })],
    ['a larger vocabulary', () => ({ vocabSize: 100_000 })],
    ['another date', () => ({ startedOn: new Date(0) })],
  ])('with %s tokenises again', async (_, change) => {
    const options = await aRun();
    const first = await prepareOnce(options, { startedOn: firstDay });
    const kept = made(options);
    const again = await prepareOnce(options, { startedOn: firstDay, ...(change(options) as object | undefined) });
    expect(made(options)).not.toBe(kept);
    expect(again.training.examples.read(0)).toEqual(first.training.examples.read(0));
  });

  it.each(['tokenizer.json', 'tokenizer_config.json', 'chat_template.jinja', 'special_tokens_map.json', 'additional_chat_templates/tool_use.jinja'])(
    'of a model whose %s is another tokenises again',
    async (name) => {
      const dir = await mkdtemp(join(root, 'model-'));
      await cp(modelDir, dir, { recursive: true });
      await mkdir(join(dir, 'additional_chat_templates'));
      const options = await aRun({ modelDir: dir });
      await prepareOnce(options, { startedOn: firstDay });
      const kept = made(options);
      const before = readdirSync(dir).includes(name) ? readFileSync(join(dir, name), 'utf8') : name.endsWith('.json') ? '{}' : '';
      writeFileSync(join(dir, name), `${before}\n`);
      await prepareOnce(options, { startedOn: firstDay });
      expect(made(options)).not.toBe(kept);
    },
  );

  it('with an option that nobody has looked at yet tokenises again', async () => {
    const options = await aRun();
    await prepareOnce(options, { startedOn: firstDay });
    const kept = made(options);
    await prepareOnce({ ...options, later: new Map([['key', 1n]]) } as TrainOptions, { startedOn: firstDay });
    expect(made(options)).not.toBe(kept);
  });

  const records = (dir: string) => join(dir, 'training_file', 'records');
  const about = (dir: string) => join(dir, 'training_file', 'about.json');
  it.each<[string, (tokensDir: string) => unknown]>([
    ['a byte of the records is another', (dir) => writeFileSync(records(dir), readFileSync(records(dir)).fill(7, 40, 41))],
    ['the records are cut', (dir) => truncateSync(records(dir), 64)],
    ['the index is cut', (dir) => truncateSync(join(dir, 'training_file', 'index'), 40)],
    ['the index is gone', (dir) => rm(join(dir, 'training_file', 'index'))],
    ['the records have more at their end', (dir) => appendFileSync(records(dir), 'more')],
    ['its description is not JSON', (dir) => writeFileSync(about(dir), '{')],
    ['its description is empty', (dir) => writeFileSync(about(dir), '{}')],
    [
      'its description has another number',
      (dir) => writeFileSync(about(dir), readFileSync(about(dir), 'utf8').replaceAll('"examples":12', '"examples":13')),
    ],
    [
      'its description is of another format',
      (dir) => writeFileSync(about(dir), readFileSync(about(dir), 'utf8').replace('"format":1', '"format":0')),
    ],
    ['it was left half written', (dir) => rename(join(dir, 'training_file'), join(dir, 'training_file.partial'))],
  ])('of which %s, prepares the same examples', async (_, damage) => {
    const options = await aRun();
    const first = await prepareOnce(options, { startedOn: firstDay });
    const expected = examplesOf(first);
    await damage(options.tokensDir);
    const again = await prepareOnce(options, { startedOn: firstDay });
    expect(examplesOf(again)).toEqual(expected);
    expect(again.receipt).toEqual(first.receipt);
    expect(readdirSync(options.tokensDir).sort()).toEqual(['training_file', 'validation_file']);
  });

  it('of a file that is refused says so again, and keeps nothing of it', async () => {
    const options = await aRun();
    writeFileSync(options.trainingFile, '{"prompt": "a", "completion": "b"}\n'.repeat(3));
    const receipts: TokenReceipt[] = [];
    const report = { receipt: (receipt: TokenReceipt) => void receipts.push(receipt) };
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(prepareOnce({ ...options, report }, { maxLengthTokens: 1, startedOn: firstDay })).rejects.toThrow(
        /line 1 has \d+ tokens; the limit is 1/,
      );
    expect(receipts).toHaveLength(2);
    expect(receipts[1]).toEqual(receipts[0]);
    expect(readdirSync(options.tokensDir)).toEqual([]);
  });
});

describe('prepareData › without a folder for tokens', () => {
  it('gives the same examples as with one', async () => {
    const options = await aRun();
    const kept = await prepareOnce(options, { startedOn: firstDay });
    const { tokensDir, ...without } = options;
    const temporary = await prepareOnce(without, { startedOn: firstDay });
    expect(examplesOf(temporary)).toEqual(examplesOf(kept));
    expect(temporary.receipt).toEqual(kept.receipt);
  });
});

describe.runIf(process.platform === 'linux')('the files of a run', () => {
  const opened = () => readdirSync('/proc/self/fd').length;

  it('are closed with it, and after an error', async () => {
    const options = await aRun();
    const before = opened();
    (await prepareData(options, resolved, firstDay)).close();
    (await prepareData(options, resolved, firstDay)).close();
    await expect(prepareData({ ...options, validationFile: join(root, 'none') }, resolved, firstDay)).rejects.toThrow(/none does not exist/);
    await expect(prepareData(options, { ...resolved, maxLengthTokens: 1 }, firstDay)).rejects.toThrow(/the limit is 1/);
    expect(opened()).toBe(before);
  });
});
