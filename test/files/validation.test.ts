import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FileObject } from 'openai/resources/files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openValidator } from '../../src/files/validator.ts';
import { ExampleKeys } from '../../src/formats/example-keys.ts';
import { readExamples } from '../../src/formats/examples.ts';
import { judgeFile } from '../../src/formats/judged-file.ts';
import { USED } from '../../src/formats/known-keys.ts';
import { nearestName } from '../../src/formats/nearest-name.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { keys } from '../../src/object-store/keys.ts';
import { mutateJson } from '../fuzz/mutate.ts';
import { seededRandom } from '../random.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { storeUnjudged } from './unjudged-file.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

const CHAT = {
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ],
};
const COMPLETION = { prompt: 'a', completion: 'b' };
const PAIR = {
  input: { messages: [{ role: 'user', content: 'a' }] },
  preferred_output: [{ role: 'assistant', content: 'b' }],
  non_preferred_output: [{ role: 'assistant', content: 'c' }],
};
const taught = (logprob: number) => ({
  messages: [CHAT.messages[0], { ...CHAT.messages[1], logprobs: { content: [{ token: 'b', logprob, bytes: null, top_logprobs: [] }] } }],
});
const jsonLines = (...values: unknown[]): string => values.map((value) => `${typeof value === 'string' ? value : JSON.stringify(value)}\n`).join('');

const judged = async (content: string | Buffer): Promise<FileObject> => {
  const { client } = service;
  const file = await client.files.create({ file: new File([content as string], 'train.jsonl'), purpose: 'fine-tune' });
  expect(file.status).toBe('uploaded');
  return client.files.waitForProcessing(file.id, { pollInterval: 20 });
};
const validation = async (id: string) => (await service.inject({ url: `/v1/files/${id}/validation` })).json();

describe('an uploaded dataset', () => {
  it('with examples of every form that one method reads › is processed, and counted', async () => {
    const messages = CHAT.messages;
    const { id, status } = await judged(
      jsonLines(CHAT, COMPLETION, { prompt: messages.slice(0, 1), completion: messages.slice(1) }, COMPLETION, '', ''),
    );
    expect(status).toBe('processed');
    expect(await validation(id)).toEqual({
      object: 'file.validation',
      file_id: id,
      status: 'processed',
      lines: 4,
      examples: { chat: 1, completion: 3, preference: 0 },
      tokens: null,
      problem_count: 0,
      problems: [],
      warnings: [],
    });
  });

  it.each([
    ['a last message that is not the assistant', { messages: CHAT.messages.slice(0, 1) }, { message: 1, field: 'role', hint: /assistant/ }],
    [
      'a misspelt key',
      { messages: [CHAT.messages[0], { ...CHAT.messages[1], wieght: 0 }] },
      { message: 2, field: 'wieght', hint: /Did you mean "weight"/ },
    ],
    ['an empty completion', { prompt: 'a', completion: '' }, { message: null, field: 'completion', hint: /what the model learns/ }],
    ['half an emoji', '{"prompt":"a","completion":"\\ud83d"}', { message: null, field: 'completion', hint: /whole pair/ }],
    ['broken JSON', '{"prompt":"a",', { message: null, field: null, hint: /one JSON object per line/ }],
    ['a preference pair without an answer', { ...PAIR, preferred_output: [] }, { message: null, field: 'preferred_output', hint: /preference pair/ }],
    [
      'a preference pair whose answer is a question',
      { ...PAIR, preferred_output: CHAT.messages.slice(0, 1) },
      { message: 1, field: 'role', hint: /assistant/ },
    ],
    ['a label that is text', { ...COMPLETION, label: 'good' }, { message: null, field: 'label', hint: /true or false/ }],
    ['an empty labelled answer', { ...COMPLETION, completion: '', label: true }, { message: null, field: 'completion', hint: /./ }],
    ['a labelled answer among supervised examples', { ...COMPLETION, label: false }, { message: null, field: null, hint: /file of their own/ }],
    ["a teacher's positive log-probability", taught(0.5), { message: 2, field: 'logprobs', hint: /natural logarithm/ }],
    ["a teacher's log-probabilities among supervised examples", taught(-0.5), { message: null, field: null, hint: /file of their own/ }],
    ['a preference pair among supervised examples', PAIR, { message: null, field: null, hint: /file of their own/ }],
  ] as [string, unknown, { message: number | null; field: string | null; hint: RegExp }][])(
    'with %s › is in error, with the line, the message, the field and what to do',
    async (_name, line, { hint, ...place }) => {
      const { id, status, status_details } = await judged(jsonLines(CHAT, line, CHAT));
      expect(status).toBe('error');
      const { problems, problem_count, lines } = await validation(id);
      expect({ lines, problem_count }).toEqual({ lines: 3, problem_count: 1 });
      expect(problems).toEqual([
        { line: 2, row: null, column: null, ...place, problem: expect.stringMatching(/^line 2/), hint: expect.stringMatching(hint) },
      ]);
      expect(status_details).toBe(`${problems[0].problem}. ${problems[0].hint}`);
    },
  );

  it('with 250 wrong lines › is read to its end: all are counted, the first hundred named, and a job is refused with the first ten', async () => {
    const { id } = await judged(jsonLines(...Array.from({ length: 500 }, (_, index) => (index % 2 === 0 ? CHAT : { prompt: index }))));
    const { lines, problem_count, problems, examples } = await validation(id);
    expect({ lines, problem_count, examples }).toEqual({ lines: 500, problem_count: 250, examples: { chat: 250, completion: 0, preference: 0 } });
    expect(problems.map(({ line }: { line: number }) => line)).toEqual(Array.from({ length: 100 }, (_, index) => 2 * index + 2));
    const create = refusal(await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: id }));
    expect(create).toMatchObject({ status: 400, code: 'invalid_training_file', param: 'training_file' });
    expect(create.message).toMatch(/^the first 10 problems: line 2 has a "prompt" that is 1/);
  });

  it('of preference pairs › is processed, but no supervised job takes it', async () => {
    const { id, status } = await judged(jsonLines(PAIR, { ...PAIR, id: 7 }));
    expect(status).toBe('processed');
    expect((await validation(id)).examples).toEqual({ chat: 0, completion: 0, preference: 2 });
    expect(refusal(await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: id }))).toMatchObject({
      status: 400,
      param: 'training_file',
      message: expect.stringContaining('preference pairs'),
    });
  });

  it('of labelled answers › is processed and counted, and named to a job by another method', async () => {
    const { id, status } = await judged(jsonLines({ ...COMPLETION, label: true }, { ...COMPLETION, label: false }));
    expect(status).toBe('processed');
    expect((await validation(id)).examples).toEqual({ chat: 0, completion: 0, preference: 0, labelled: 2 });
    const body = { model: 'graft-tiny', training_file: id, method: { type: 'dpo' } };
    expect(refusal(await service.post('/v1/fine_tuning/jobs', body))).toMatchObject({
      status: 400,
      param: 'training_file',
      message: expect.stringMatching(/labelled answers.*Use the method "kto"/),
    });
  });

  it("of conversations with a teacher's log-probabilities › is processed and counted, and taken by supervised jobs too", async () => {
    const { id, status } = await judged(jsonLines(taught(-0.5), taught(-1)));
    expect(status).toBe('processed');
    expect((await validation(id)).examples).toEqual({ chat: 0, completion: 0, preference: 0, distilled: 2 });
    const jobBy = (type: string) => service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: id, method: { type } });
    expect(refusal(await jobBy('dpo'))).toMatchObject({ message: expect.stringMatching(/Use the method "supervised" or "distillation"/) });
    for (const type of ['supervised', 'distillation']) expect((await jobBy(type)).statusCode, type).toBe(200);
  });

  it('with keys of messages that a chat template may read › is processed, with a warning that names them', async () => {
    const { id, status } = await judged(jsonLines({ messages: [CHAT.messages[0], { ...CHAT.messages[1], function_call: { name: 'f' } }] }));
    expect(status).toBe('processed');
    expect((await validation(id)).warnings).toEqual([expect.stringContaining('"function_call"')]);
  });

  it.each([
    [
      'weights in safetensors',
      () =>
        Buffer.concat([
          Buffer.from([64, 0, 0, 0, 0, 0, 0, 0]),
          Buffer.from('{"w":{"dtype":"F32","shape":[64],"data_offsets":[0,256]}}      '),
          randomBytes(256),
        ]),
    ],
    ['random bytes', () => randomBytes(100_000)],
    ['a line of 9 MiB', () => Buffer.from(jsonLines(CHAT, { ...COMPLETION, completion: 'x'.repeat(9 * 2 ** 20) }))],
    ['nothing but blank lines', () => Buffer.from('\n\n\n')],
  ])('of %s › is in error', async (_name, content) => {
    const { id, status, status_details } = await judged(content());
    expect(status).toBe('error');
    expect((await validation(id)).problem_count).toBeGreaterThan(0);
    expect(status_details!.length).toBeLessThan(1_100);
  });

  it('is judged as training judges it, whatever it holds', async () => {
    const random = seededRandom(15);
    const readsOfMessage = (key: string) => nearestName(key, USED.message) === null;
    for (let run = 0; run < 300; run++) {
      const lines = Array.from({ length: 1 + random.below(3) }, () =>
        random.below(2) === 0 ? JSON.stringify(CHAT) : mutateJson(random.pick([CHAT, COMPLETION]), random),
      );
      const bytes = () => Readable.from([Buffer.from(lines.join('\n'))]);
      const verdict = await judgeFile(bytes());
      let problem: Refusal | null = null;
      try {
        for await (const _ of readExamples(bytes(), 'training_file', {
          keys: new ExampleKeys({ mentions: readsOfMessage, readsOfMessage, readsVariable: () => true }),
        }));
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        problem = error;
      }
      expect(verdict.problemCount > 0, lines.join('\n')).toBe(problem !== null);
    }
  });
});

/** A dataset that was stored by a process that ended before it was judged. */
const leftBehind = (): Promise<string> => storeUnjudged(jsonLines(CHAT), service.services);
const statusOf = async (id: string) => (await service.client.files.retrieve(id)).status;
const claims = (id: string) => service.services.database.fileValidation.findUniqueOrThrow({ where: { fileId: id } });
const claimFor = (id: string, data: { claimedUntil: Date; tries?: number }) =>
  service.services.database.fileValidation.update({ where: { fileId: id }, data: { claimedBy: 'another process', ...data } });
const MINUTE_MS = 60_000;

describe('a dataset whose process ended before it was judged', () => {
  it('is judged by the next one, once the claim of the dead process is over', async () => {
    const [alive, dead] = [await leftBehind(), await leftBehind()];
    await claimFor(alive, { claimedUntil: new Date(Date.now() + MINUTE_MS) });
    await claimFor(dead, { claimedUntil: new Date(Date.now() - 1) });
    service.services.validator.wake();
    await service.client.files.waitForProcessing(dead, { pollInterval: 20 });
    expect(await statusOf(alive)).toBe('uploaded');
  });

  it('and that may be why it ended › is tried five times and then in error', async () => {
    const id = await leftBehind();
    await claimFor(id, { claimedUntil: new Date(Date.now() - 1), tries: 5 });
    service.services.validator.wake();
    const file = await service.client.files.waitForProcessing(id, { pollInterval: 20 });
    expect(file).toMatchObject({ status: 'error', status_details: expect.stringContaining('5 times') });
  });

  it('is judged once, however many processes look for it', async () => {
    const { validations, objectStore, urls, log } = service.services;
    const ids = await Promise.all(Array.from({ length: 12 }, () => leftBehind()));
    const other = openValidator({ validations, objectStore, storageUrl: urls.storage, log });
    service.services.validator.wake();
    other.wake();
    for (const id of ids) await service.client.files.waitForProcessing(id, { pollInterval: 20 });
    await other.stop();
    expect((await Promise.all(ids.map(claims))).map(({ tries }) => tries)).toEqual(ids.map(() => 1));
  });

  it('when the store is away › stays uploaded, and nothing counts against it', async () => {
    const { validations, objectStore, log } = service.services;
    const id = await leftBehind();
    const away = openValidator({ validations, objectStore, storageUrl: 's3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A1', log });
    away.wake();
    await expect
      .poll(() => claims(id), { timeout: 30_000 })
      .toMatchObject({ claimedBy: null, claimedUntil: expect.any(Date), tries: 0, doneAt: null });
    await away.stop();
    expect(await statusOf(id)).toBe('uploaded');
  });

  it('and that is deleted meanwhile › is forgotten', async () => {
    const id = await leftBehind();
    await service.services.objectStore.delete(keys.file(id));
    service.services.validator.wake();
    await service.client.files.delete(id);
    expect(await service.services.database.fileValidation.findUnique({ where: { fileId: id } })).toBeNull();
  });

  it('may be named by a job', async () => {
    const training_file = await leftBehind();
    const { id } = await service.client.fineTuning.jobs.create({ model: 'graft-tiny', training_file });
    await service.client.fineTuning.jobs.cancel(id);
  });
});

describe('the validation', () => {
  it('of a file that is stored as it is › is refused; of a file of another project › not found', async () => {
    const file = await service.client.files.create({ file: new File(['x'], 'a.txt'), purpose: 'user_data' });
    expect(refusal(await service.inject({ url: `/v1/files/${file.id}/validation` }))).toMatchObject({ status: 400, code: 'file_not_validated' });
    expect(refusal(await service.inject({ url: '/v1/files/file-x/validation' }))).toMatchObject({ status: 404, code: 'file_not_found' });
    const { id } = await judged(jsonLines(CHAT));
    expect(await service.services.validations.find('globex', id)).toBeNull();
  });
});
