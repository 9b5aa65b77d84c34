import { createHash } from 'node:crypto';
import { expectMatch, expectRefusal } from './matching.ts';
import type { Row, Setting } from './setting.ts';

const UPLOAD = {
  id: /^upload/,
  object: 'upload',
  bytes: Number,
  created_at: Number,
  expires_at: Number,
  filename: 'parts.jsonl',
  purpose: 'fine-tune',
};

const begin = ({ client, dataset }: Setting) =>
  client.uploads.create({ bytes: Buffer.byteLength(dataset), filename: 'parts.jsonl', mime_type: 'text/jsonl', purpose: 'fine-tune' });

/** The dataset in two parts, the second sent first. @returns the ids in their order */
async function sendParts({ client, dataset }: Setting, uploadId: string): Promise<string[]> {
  const bytes = Buffer.from(dataset);
  const middle = Math.floor(bytes.length / 2);
  const second = await client.uploads.parts.create(uploadId, { data: new File([bytes.subarray(middle)], 'second') });
  const first = await client.uploads.parts.create(uploadId, { data: new File([bytes.subarray(0, middle)], 'first') });
  return [first.id, second.id];
}

export const uploadRows: Row[] = [
  ['uploads.create', 'of a dataset', async (setting) => expectMatch(await begin(setting), { ...UPLOAD, status: 'pending' })],
  [
    'uploads.create',
    'of more than 8 GB',
    async ({ client, openai }) =>
      expectRefusal(
        client.uploads.create({ bytes: 9e9, filename: 'big.jsonl', mime_type: 'text/jsonl', purpose: 'fine-tune' }),
        openai.BadRequestError,
        { param: 'bytes' },
      ),
  ],
  [
    'uploads.parts.create',
    'of half the bytes',
    async (setting) => {
      const { id } = await begin(setting);
      const part = await setting.client.uploads.parts.create(id, { data: new File(['half'], 'half') });
      expectMatch(part, { id: /^part/, object: 'upload.part', created_at: Number, upload_id: id });
    },
  ],
  [
    'uploads.complete',
    'of parts that were sent in another order, with their md5',
    async (setting) => {
      const { client, dataset } = setting;
      const { id } = await begin(setting);
      const part_ids = await sendParts(setting, id);
      const upload = await client.uploads.complete(id, { part_ids, md5: createHash('md5').update(dataset).digest('hex') });
      expectMatch(upload, {
        ...UPLOAD,
        id,
        status: 'completed',
        file: { id: /^file-/, object: 'file', purpose: 'fine-tune', filename: 'parts.jsonl' },
      });
      expectMatch(await (await client.files.content(upload.file!.id)).text(), dataset);
    },
  ],
  [
    'uploads.complete',
    'with a wrong md5',
    async (setting) => {
      const { client, openai } = setting;
      const { id } = await begin(setting);
      const part_ids = await sendParts(setting, id);
      await expectRefusal(client.uploads.complete(id, { part_ids, md5: '0'.repeat(32) }), openai.BadRequestError, { param: 'md5' });
    },
  ],
  [
    'uploads.complete',
    'with a part missing',
    async (setting) => {
      const { client, openai } = setting;
      const { id } = await begin(setting);
      const [first = ''] = await sendParts(setting, id);
      await expectRefusal(client.uploads.complete(id, { part_ids: [first] }), openai.BadRequestError);
    },
  ],
  [
    'uploads.cancel',
    'of a pending upload',
    async (setting) => {
      const { client, openai } = setting;
      const { id } = await begin(setting);
      expectMatch(await client.uploads.cancel(id), { ...UPLOAD, id, status: 'cancelled' });
      await expectRefusal(client.uploads.parts.create(id, { data: new File(['late'], 'late') }), openai.BadRequestError);
    },
  ],
];
