import { createHash } from 'node:crypto';
import { idsOf } from './ids-of.ts';
import { expectMatch, expectRefusal, oneOf } from './matching.ts';
import type { Row, Setting } from './setting.ts';

const FILE = {
  id: /^file-/,
  object: 'file',
  bytes: Number,
  created_at: Number,
  filename: String,
  purpose: 'fine-tune',
  status: oneOf('uploaded', 'processed'),
};

const upload = ({ client, dataset }: Setting, filename = 'train.jsonl') =>
  client.files.create({ file: new File([dataset], filename), purpose: 'fine-tune' });

export const fileRows: Row[] = [
  [
    'files.create',
    'with a name outside ASCII',
    async (setting) =>
      expectMatch(await upload(setting, 'größe 你好.jsonl'), { ...FILE, filename: 'größe 你好.jsonl', bytes: Buffer.byteLength(setting.dataset) }),
  ],
  [
    'files.create',
    'that expires',
    async ({ client, dataset }) => {
      const expires_after = { anchor: 'created_at', seconds: 3600 } as const;
      const file = await client.files.create({ file: new File([dataset], 'a.jsonl'), purpose: 'fine-tune', expires_after });
      expectMatch(file, { ...FILE, expires_at: file.created_at + 3600 });
    },
  ],
  [
    'files.create',
    'with each purpose that the client types',
    async ({ client }) => {
      for (const purpose of ['assistants', 'batch', 'vision', 'user_data', 'evals'] as const)
        expectMatch(await client.files.create({ file: new File(['some text'], 'a.txt'), purpose }), { ...FILE, purpose, bytes: 9 });
    },
  ],
  [
    'files.create',
    'with the same Idempotency-Key',
    async ({ client, dataset }) => {
      const create = () =>
        client.files.create(
          { file: new File([dataset], 'same.jsonl'), purpose: 'fine-tune' },
          { headers: { 'Idempotency-Key': `files-${process.pid}` } },
        );
      const first = await create();
      expectMatch(await create(), { id: first.id });
    },
  ],
  [
    'files.retrieve',
    'of a file',
    async (setting) => {
      const { id, filename, bytes, created_at } = await upload(setting);
      expectMatch(await setting.client.files.retrieve(id), { ...FILE, id, filename, bytes, created_at });
    },
  ],
  [
    'files.retrieve',
    'of an unknown file',
    async ({ client, openai }) =>
      expectRefusal(client.files.retrieve('file-none'), openai.NotFoundError, { status: 404, code: 'file_not_found', type: 'invalid_request_error' }),
  ],
  [
    'files.waitForProcessing',
    'of a dataset',
    async (setting) => {
      const { id } = await upload(setting);
      expectMatch(await setting.client.files.waitForProcessing(id, { pollInterval: 100, maxWait: 60_000 }), { ...FILE, id, status: 'processed' });
    },
  ],
  [
    'files.waitForProcessing',
    'of a file that is no dataset',
    async ({ client }) => {
      const { id } = await client.files.create({ file: new File(['{"message": []}\n'], 'wrong.jsonl'), purpose: 'fine-tune' });
      expectMatch(await client.files.waitForProcessing(id, { pollInterval: 100, maxWait: 60_000 }), { status: 'error', status_details: /line 1/ });
    },
  ],
  [
    'files.list',
    'in pages of one, newest first and oldest first',
    async (setting) => {
      const made = [(await upload(setting)).id, (await upload(setting)).id];
      for (const [order, expected] of [
        ['desc', made.toReversed()],
        ['asc', made],
      ] as const) {
        const ids = await idsOf(setting.client.files.list({ purpose: 'fine-tune', order, limit: 1 }));
        expectMatch(
          ids.filter((id) => made.includes(id)),
          expected,
        );
      }
    },
  ],
  [
    'files.list',
    'page by page',
    async (setting) => {
      await upload(setting);
      await upload(setting);
      const first = await setting.client.files.list({ limit: 1 });
      expectMatch([first.data.length, first.hasNextPage()], [1, true]);
      const second = await first.getNextPage();
      expectMatch(second.data[0]!.id !== first.data[0]!.id, true);
    },
  ],
  [
    'files.list',
    'walked while its files are deleted',
    async (setting) => {
      const { client } = setting;
      const made = new Set([(await upload(setting)).id, (await upload(setting)).id, (await upload(setting)).id]);
      for await (const { id } of client.files.list({ limit: 2 })) if (made.has(id) && (await client.files.delete(id)).deleted) made.delete(id);
      expectMatch(made.size, 0);
    },
  ],
  [
    'files.list',
    'of one purpose',
    async (setting) => {
      await upload(setting);
      const { data } = await setting.client.files.list({ purpose: 'vision', limit: 5 });
      expectMatch(data.filter(({ purpose }) => purpose !== 'vision').length, 0);
    },
  ],
  [
    'files.content',
    'read at once',
    async (setting) => {
      const { id } = await upload(setting);
      expectMatch(await (await setting.client.files.content(id)).text(), setting.dataset);
    },
  ],
  [
    'files.content',
    'as a stream, of several megabytes',
    async ({ client, dataset }) => {
      const large = dataset.repeat(Math.ceil((4 * 1024 * 1024) / dataset.length));
      const { id } = await client.files.create({ file: new File([large], 'large.jsonl'), purpose: 'fine-tune' });
      const { body } = await client.files.content(id);
      const [received, expected] = [createHash('sha256'), createHash('sha256').update(large).digest('hex')];
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) received.update(chunk);
      expectMatch(received.digest('hex'), expected);
      await client.files.delete(id);
    },
  ],
  [
    'files.content',
    'of a range of bytes',
    async (setting) => {
      const { id } = await upload(setting);
      const response = await setting.client.files.content(id, { headers: { Range: 'bytes=3-11' } });
      expectMatch(response.status, 206);
      expectMatch(Buffer.from(await response.arrayBuffer()).toString('hex'), Buffer.from(setting.dataset).subarray(3, 12).toString('hex'));
    },
  ],
  [
    'files.delete',
    'of a file',
    async (setting) => {
      const { id } = await upload(setting);
      expectMatch(await setting.client.files.delete(id), { id, object: 'file', deleted: true });
      await expectRefusal(setting.client.files.retrieve(id), setting.openai.NotFoundError);
      await expectRefusal(setting.client.files.delete(id), setting.openai.NotFoundError);
    },
  ],
];
