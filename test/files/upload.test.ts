import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { sweepFiles } from '../../src/files/sweep.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { sendForm } from './send-form.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

const send = (parts: [string, string | File][]) => sendForm(service, parts);
const data = new File(['{"prompt":"a","completion":"b"}\n'], 'a.jsonl');

describe('upload', () => {
  it.each([
    ['without purpose', [['file', data]], { param: 'purpose', code: 'missing_required_parameter' }],
    [
      'with the purpose of results',
      [
        ['file', data],
        ['purpose', 'fine-tune-results'],
      ],
      { param: 'purpose' },
    ],
    ['without a file', [['purpose', 'fine-tune']], { param: 'file' }],
    [
      'of an empty file',
      [
        ['file', new File([''], 'e.jsonl')],
        ['purpose', 'fine-tune'],
      ],
      { param: 'file' },
    ],
    [
      'of two files',
      [
        ['file', data],
        ['file', data],
        ['purpose', 'fine-tune'],
      ],
      { param: 'file' },
    ],
    [
      'with an unknown field',
      [
        ['file', data],
        ['purpose', 'fine-tune'],
        ['colour', 'red'],
      ],
      { param: 'colour', code: 'unknown_parameter' },
    ],
    [
      'with the file in another field',
      [
        ['dataset', data],
        ['purpose', 'fine-tune'],
      ],
      { param: 'dataset' },
    ],
    [
      'that expires too soon',
      [
        ['file', data],
        ['purpose', 'fine-tune'],
        ['expires_after[anchor]', 'created_at'],
        ['expires_after[seconds]', '60'],
      ],
      { param: 'expires_after.seconds' },
    ],
  ] as [string, [string, string | File][], object][])('%s › is refused and leaves nothing in storage', async (_name, parts, expected) => {
    const before = await service.services.objectStore.list('files/');
    expect(refusal(await send(parts))).toMatchObject({ status: 400, type: 'invalid_request_error', ...expected });
    expect(await service.services.objectStore.list('files/')).toEqual(before);
  });

  it.each(['assistants', 'batch', 'vision', 'user_data', 'evals'] as const)(
    'with the purpose %s › is stored as it is, but no job takes it',
    async (purpose) => {
      const file = await service.client.files.create({ file: new File(['%PDF-1.7'], 'a.pdf'), purpose });
      expect(file).toMatchObject({ purpose, status: 'processed', bytes: 8 });
      expect(refusal(await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: file.id }))).toMatchObject({
        status: 400,
        code: 'invalid_training_file',
        param: 'training_file',
      });
    },
  );

  it('that is not multipart › is refused', async () => {
    expect(refusal(await service.post('/v1/files', {}))).toMatchObject({ status: 415, code: 'unsupported_media_type' });
  });

  it('with a name too long › loses no half of an emoji, and can be read and downloaded', async () => {
    const response = await send([
      ['file', new File(['{}\n'], `${'x'.repeat(254)}🌱.jsonl`)],
      ['purpose', 'fine-tune'],
    ]);
    const { id, filename } = response.json();
    expect(filename).toBe('x'.repeat(254));
    expect((await service.inject({ url: `/v1/files/${id}/content` })).body).toBe('{}\n');
  });

  it.each([
    [
      'UTF-16 without a byte order mark',
      Buffer.from('{"prompt":"a","completion":"b"}\n', 'utf16le'),
      /^the file is UTF-16 text \(little-endian\)\. Save/,
    ],
    ['gzip', Buffer.from('1f8b0800', 'hex'), /^the file is compressed with gzip\. Unpack/],
    ['zeros', Buffer.alloc(100), /^the file begins with NUL bytes\. It was never written completely/],
  ])('of %s › has the status error, which says what to do', async (_name, content, details) => {
    const response = await send([
      ['file', new File([content], 'train.jsonl')],
      ['purpose', 'fine-tune'],
    ]);
    expect(response.json()).toMatchObject({ status: 'uploaded' });
    const file = await service.client.files.waitForProcessing(response.json().id, { pollInterval: 20 });
    expect(file).toMatchObject({ status: 'error', status_details: expect.stringMatching(details) });
  });

  it('with an expiry › shows it', async () => {
    const response = await send([
      ['file', data],
      ['purpose', 'fine-tune'],
      ['expires_after[anchor]', 'created_at'],
      ['expires_after[seconds]', '3600'],
    ]);
    const file = response.json();
    expect(file.expires_at - file.created_at).toBe(3600);
  });
});

describe('delete', () => {
  it('removes the content at once, or as soon as no unfinished job reads it', async () => {
    const { objectStore, jobs } = service.services;
    const free = await service.upload();
    await service.inject({ method: 'DELETE', url: `/v1/files/${free}` });
    expect(await objectStore.size(`files/${free}`)).toBeNull();

    const used = await service.upload();
    const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: used })).json();
    await service.inject({ method: 'DELETE', url: `/v1/files/${used}` });
    expect(await objectStore.size(`files/${used}`)).toBeGreaterThan(0);
    expect(refusal(await service.inject({ url: `/v1/files/${used}` }))).toMatchObject({ status: 404, code: 'file_not_found' });
    await jobs.move(id, 'cancel');
    await sweepFiles(service.services);
    expect(await objectStore.size(`files/${used}`)).toBeNull();
  });

  it('while the object store is away › is answered, and the content is removed once it is back', async () => {
    const { objectStore } = service.services;
    const id = await service.upload();
    const remove = vi.spyOn(objectStore, 'delete').mockRejectedValueOnce(new Error('the store is away'));
    expect((await service.inject({ method: 'DELETE', url: `/v1/files/${id}` })).json()).toMatchObject({ deleted: true });
    remove.mockRestore();
    expect(await objectStore.size(`files/${id}`)).toBeGreaterThan(0);
    await sweepFiles(service.services);
    expect(await objectStore.size(`files/${id}`)).toBeNull();
  });
});

describe('list', () => {
  it('pages in both orders', async () => {
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push(await service.upload());
    const list = async (query: string) => (await service.inject({ url: `/v1/files?${query}` })).json();
    const first = await list('limit=2');
    expect(first.data.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[1]]);
    expect(first.has_more).toBe(true);
    expect((await list(`limit=1&after=${ids[1]}`)).data[0].id).toBe(ids[0]);
    expect((await list(`order=asc&after=${ids[0]}`)).data.map(({ id }: { id: string }) => id)).toEqual([ids[1], ids[2]]);
    expect((await list('purpose=fine-tune-results')).data).toEqual([]);
  });
});
