import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toFile } from 'openai';
import type { FileObject } from 'openai/resources/files';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { sendForm } from './send-form.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

const fixture = (name: string): Promise<Buffer> => readFile(join(import.meta.dirname, '../fixtures/tables', name));
const stored = async () => (await service.services.objectStore.list('files/')).map(({ key }) => key);

const upload = (filename: string, content: string | Buffer, fields: Record<string, string> = {}) =>
  sendForm(service, Object.entries({ file: new File([content as string], filename), purpose: 'fine-tune', ...fields }));

async function judged(...args: Parameters<typeof upload>): Promise<FileObject> {
  return service.client.files.waitForProcessing((await upload(...args)).json<FileObject>().id, { pollInterval: 20 });
}

const validation = async (id: string) => (await service.inject({ url: `/v1/files/${id}/validation` })).json();
const lines = async (id: string): Promise<unknown[]> => {
  const content = await (await service.client.files.content(id)).text();
  return content
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
};

describe('a CSV', () => {
  it('with columns named prompt and completion › becomes JSON Lines, and only that stays', async () => {
    const before = await stored();
    const csv = '\ufeffid,prompt,completion\r\n1,"a, ""quoted"",\nover two lines",b\r\n2,ß,🌱\r\n';
    const file = await judged('qa.csv', csv);
    expect(file).toMatchObject({ status: 'processed', filename: 'qa.csv' });
    const expected = [
      { prompt: 'a, "quoted",\nover two lines', completion: 'b' },
      { prompt: 'ß', completion: '🌱' },
    ];
    expect(await lines(file.id)).toEqual(expected);
    const text = expected.map((line) => `${JSON.stringify(line)}\n`).join('');
    expect(file.bytes).toBe(Buffer.byteLength(text));
    expect(await validation(file.id)).toMatchObject({ lines: 2, examples: { completion: 2 }, warnings: ['Columns that were left out: "id".'] });
    expect((await stored()).length).toBe(before.length + 1);
    const { headers } = await service.inject({ url: `/v1/files/${file.id}/content` });
    expect(headers['content-disposition']).toContain('qa.csv.jsonl');
    await service.client.files.delete(file.id);
    expect(await stored()).toEqual(before);
  });

  it('with other names › becomes what the request says, whatever the file is called', async () => {
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    const cell = JSON.stringify(messages, null, 1).replaceAll('"', '""');
    const mapped = { format: 'csv', 'mapping[messages]': 'chat', 'mapping[tools]': 'functions' };
    const { id, status } = await judged('data.txt', `chat,functions\n"${cell}",[]\n"${cell}",\n`, mapped);
    expect(status).toBe('processed');
    expect(await lines(id)).toEqual([{ messages, tools: [] }, { messages }]);
  });

  it('with rows that are wrong › is in error, stays as it was, and names row and column', async () => {
    const csv = 'question,answer\na,b\nc,\nonly one\nd,e,f\n"g",h\n';
    const { id, status, status_details, bytes } = await judged('qa.csv', csv, { 'mapping[prompt]': 'question', 'mapping[completion]': 'answer' });
    expect({ status, bytes }).toEqual({ status: 'error', bytes: csv.length });
    const { problems, problem_count } = await validation(id);
    expect(problem_count).toBe(3);
    expect(problems).toMatchObject([
      { row: 2, column: 'answer', field: 'completion', problem: 'row 2 has an empty "completion" (column "answer")' },
      { row: 3, problem: expect.stringMatching(/^row 3 cannot be read/), hint: expect.stringContaining('quotes') },
      { row: 4, problem: expect.stringMatching(/^row 4 cannot be read/) },
    ]);
    expect(status_details).toMatch(/^row 2 /);
    expect(await (await service.client.files.content(id)).text()).toBe(csv);
  });

  it.each([
    ['without the columns that an example needs', 'a,b\n1,2\n', {}, /columns "a", "b": neither .*mapping\[prompt\]/],
    ['without a mapped column', 'a,b\n1,2\n', { 'mapping[prompt]': 'a', 'mapping[completion]': 'x' }, /no column "x"\. Its columns are "a", "b"/],
    ['with broken JSON in a cell', 'messages\n"[{]"\n', {}, /row 1 has a cell in the column "messages" that is no JSON/],
    ['that is empty', '\n', {}, /the table is empty/],
    ['in Latin-1', Buffer.from('prompt,completion\nGr\xfc\xdfe,b\n', 'latin1'), {}, /not UTF-8/],
    ['in UTF-16', Buffer.from('\ufeffprompt,completion\na,b\n', 'utf16le'), {}, /UTF-16 text/],
    ['with a quote that never ends', `prompt,completion\na,"b\n${'c,d\n'.repeat(50)}`, {}, /Quote/],
    ['that is a spreadsheet', Buffer.from('PK\x03\x04rest of it'), {}, /ZIP archive/],
  ] as [string, string | Buffer, Record<string, string>, RegExp][])(
    '%s › is in error and says what to do',
    async (_name, content, fields, details) => {
      const { status, status_details } = await judged('qa.csv', content, fields);
      expect(status).toBe('error');
      expect(status_details).toMatch(details);
    },
  );
});

describe('a Parquet table', () => {
  it.each(['none', 'snappy', 'gzip', 'brotli', 'zstd'])(
    'of conversations, as pyarrow writes it with the codec %s, › becomes JSON Lines',
    async (codec) => {
      const { id, status, status_details } = await judged('chat', await fixture(`chat-${codec}.parquet`));
      expect({ status, status_details }).toEqual({ status: 'processed', status_details: undefined });
      const messages = [
        { role: 'user', content: 'Grüße 🌱?', weight: null },
        { role: 'assistant', content: '你好\n', weight: 1 },
      ];
      const tools = [{ type: 'function', function: { name: 'f' } }];
      expect(await lines(id)).toEqual([{ messages }, { messages, tools }, { messages }, { messages }, { messages }]);
    },
  );

  it('with a mapping › names row and column of what is wrong', async () => {
    const { id, status } = await judged('questions.parquet', await fixture('questions.parquet'), {
      'mapping[prompt]': 'question',
      'mapping[completion]': 'answer',
    });
    expect(status).toBe('error');
    expect((await validation(id)).problems).toMatchObject([
      { row: 2, column: 'answer', problem: 'row 2 has an empty "completion" (column "answer")' },
      { row: 3, column: 'question', problem: expect.stringMatching(/^row 3 .*"prompt".*\(column "question"\)$/) },
    ]);
  });

  it.each([4, 8, 100, 400, 700])('cut off after %i bytes › is in error', async (length) => {
    const { status, status_details } = await judged('chat.parquet', (await fixture('chat-snappy.parquet')).subarray(0, length));
    expect(status).toBe('error');
    expect(status_details).toMatch(/cannot be read as a Parquet table/);
  });

  it('sent in parts › becomes JSON Lines, too', async () => {
    const { client } = service;
    const content = await fixture('questions.parquet');
    const body = { bytes: content.length, filename: 'q.parquet', mime_type: 'application/vnd.apache.parquet', purpose: 'fine-tune' };
    const { id } = (await service.post('/v1/uploads', { ...body, mapping: { prompt: 'answer', completion: 'answer' } })).json();
    const part = await client.uploads.parts.create(id, { data: await toFile(content, 'part') });
    const { file } = await client.uploads.complete(id, { part_ids: [part.id] });
    const { status } = await client.files.waitForProcessing(file!.id, { pollInterval: 20 });
    expect(status).toBe('error');
    expect((await validation(file!.id)).problems).toMatchObject([{ row: 2, column: 'answer' }]);
  });
});

describe('an upload that says what cannot be', () => {
  it.each([
    ['another format', 'a.csv', { format: 'xlsx' }, { param: 'format' }],
    ['a key that no example has', 'a.csv', { 'mapping[answer]': 'a' }, { param: 'mapping[answer]', code: 'unknown_parameter' }],
    ['a mapping of JSON Lines', 'a.jsonl', { 'mapping[prompt]': 'a' }, { param: 'mapping' }],
    ['a format of what is stored as it is', 'a.csv', { purpose: 'user_data', format: 'csv' }, { param: 'format' }],
  ])('%s › is refused', async (_name, filename, fields, expected) => {
    expect(refusal(await upload(filename, 'prompt,completion\na,b\n', fields as Record<string, string>))).toMatchObject({ status: 400, ...expected });
  });
});
