import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { objectSweep } from '../../src/housekeeping/objects.ts';
import type { ErrorBody } from '../../src/http/statuses.ts';
import { keys } from '../../src/object-store/keys.ts';
import { sweepUploads } from '../../src/uploads/sweep.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service?.close());

const HOUR_MS = 3_600_000;

interface Expected {
  param: string;
  code?: string;
  message?: RegExp;
}

const create = (bytes: number, more: object = {}) =>
  service.client.uploads.create({ bytes, filename: 'train.jsonl', mime_type: 'application/jsonl', purpose: 'user_data', ...more });
const addPart = async (id: string, content: string | Buffer) =>
  service.client.uploads.parts.create(id, { data: await toFile(Buffer.from(content), 'part') });
const stored = async () => (await service.services.objectStore.list('')).map(({ key }) => key).filter((key) => !key.startsWith('probes/'));
const contentOf = async (fileId: string) => (await service.client.files.content(fileId)).text();
const complete = (id: string, part_ids: string[], md5?: string) => service.post(`/v1/uploads/${id}/complete`, { part_ids, ...(md5 && { md5 }) });
const expire = (id: string, agoMs: number) =>
  service.services.database.upload.update({ where: { id }, data: { expiresAt: new Date(Date.now() - agoMs) } });

describe('an upload in parts', () => {
  it('sent by the official client, several parts at once, › becomes an ordinary file in the order of part_ids', async () => {
    const upload = await create(11, { expires_after: { anchor: 'created_at', seconds: 7200 } });
    expect(upload).toMatchObject({ object: 'upload', bytes: 11, filename: 'train.jsonl', purpose: 'user_data', status: 'pending', file: null });
    expect(upload.id).toMatch(/^upload_/);
    expect(upload.expires_at - upload.created_at).toBe(3600);
    const parts = await Promise.all(['hello', ' ', 'world'].map((text) => addPart(upload.id, text)));
    expect(parts[0]).toMatchObject({ object: 'upload.part', upload_id: upload.id });
    const done = await service.client.uploads.complete(upload.id, {
      part_ids: [parts[2]!.id, parts[1]!.id, parts[0]!.id],
      md5: createHash('md5').update('world hello').digest('hex'),
    });
    expect(done).toMatchObject({ id: upload.id, status: 'completed', file: { bytes: 11, filename: 'train.jsonl', purpose: 'user_data' } });
    expect(await contentOf(done.file!.id)).toBe('world hello');
    expect(await service.client.files.retrieve(done.file!.id)).toEqual(done.file);
    expect(done.file!.expires_at! - done.file!.created_at).toBe(7200);
    expect((await stored()).filter((key) => key.startsWith('uploads/'))).toEqual([]);
  });

  it('of any bytes cut anywhere › is what was cut, and nothing of it stays when the file is deleted', async () => {
    const cuts = fc.uniqueArray(fc.nat(200_000), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200_000 }), cuts, async (bytes, places) => {
        const content = Buffer.from(bytes);
        const ends = [...new Set([...places.map((place) => Math.max(1, place % content.length)), content.length])].sort((a, b) => a - b);
        const upload = await create(content.length);
        const ids: string[] = [];
        for (const [index, end] of ends.entries()) ids.push((await addPart(upload.id, content.subarray(ends[index - 1] ?? 0, end))).id);
        const { file } = await service.client.uploads.complete(upload.id, { part_ids: ids });
        expect(Buffer.from(await (await service.client.files.content(file!.id)).arrayBuffer()).equals(content)).toBe(true);
        await service.client.files.delete(file!.id);
        expect((await stored()).filter((key) => key.includes(file!.id) || key.includes(upload.id))).toEqual([]);
      }),
      { numRuns: 12 },
    );
  });

  it('completed twice at once and once more › is one file, which all three answers name', async () => {
    const before = await stored();
    const upload = await create(6);
    const ids = [(await addPart(upload.id, 'abc')).id, (await addPart(upload.id, 'def')).id];
    const answers = await Promise.all([complete(upload.id, ids), complete(upload.id, ids)]);
    answers.push(await complete(upload.id, ids));
    const files = answers.map((answer) => answer.json().file.id);
    expect(new Set(files).size).toBe(1);
    expect(await stored()).toEqual([...before, keys.file(files[0]!)].sort());
    expect(refusal(await complete(upload.id, ids.toReversed()))).toMatchObject({ status: 400, code: 'upload_ended', param: 'part_ids' });
    await service.client.files.delete(files[0]!);
    expect((await complete(upload.id, ids)).json()).toMatchObject({ status: 'completed', file: null });
  });

  it.each([
    ['with parts that are too few', (ids: string[]) => [[ids[0]!]], { param: 'part_ids', message: /3 bytes together; .* for 6/ }],
    ['with a part twice', (ids: string[]) => [[ids[0]!, ids[0]!]], { param: 'part_ids', message: /twice/ }],
    ['with a part that is not there', (ids: string[]) => [[ids[0]!, 'part_x']], { param: 'part_ids', message: /part_ids\[1\] is "part_x"/ }],
    ['with another md5', (ids: string[]) => [ids, '0'.repeat(32)], { param: 'md5', code: 'invalid_checksum' }],
  ] as [string, (ids: string[]) => [string[], string?], Expected][])(
    'completed %s › is refused, stays open and leaves no object',
    async (_name, request, { message, ...expected }) => {
      const before = await stored();
      const upload = await create(6);
      const ids = [(await addPart(upload.id, 'abc')).id, (await addPart(upload.id, 'def')).id];
      const answer = refusal(await complete(upload.id, ...request(ids)));
      expect(answer).toMatchObject({ status: 400, type: 'invalid_request_error', ...expected });
      if (message) expect(answer.message).toMatch(message);
      expect((await stored()).filter((key) => key.startsWith('files/'))).toEqual(before.filter((key) => key.startsWith('files/')));
      expect((await complete(upload.id, ids)).json()).toMatchObject({ status: 'completed' });
    },
  );

  it('interrupted › lists the parts that arrived, so that the rest can be sent', async () => {
    const upload = await create(6);
    const first = await addPart(upload.id, 'abc');
    const listed = (await service.inject({ url: `/v1/uploads/${upload.id}/parts` })).json();
    expect(listed.data).toEqual([{ id: first.id, object: 'upload.part', bytes: 3, created_at: expect.any(Number), upload_id: upload.id }]);
    const second = await addPart(upload.id, 'def');
    expect((await complete(upload.id, [first.id, second.id])).statusCode).toBe(200);
    expect((await service.inject({ url: `/v1/uploads/${upload.id}` })).json()).toMatchObject({ status: 'completed', file: { bytes: 6 } });
  });

  it('whose clients send every part again and again › is stopped before it fills the store', async () => {
    const upload = await create(10);
    const part = Buffer.alloc(33 * 1024 ** 2);
    await addPart(upload.id, part);
    await expect(addPart(upload.id, part)).rejects.toMatchObject({ status: 400, code: 'too_many_parts' });
    expect((await stored()).filter((key) => key.startsWith(keys.upload(upload.id)))).toHaveLength(1);
    await service.client.uploads.cancel(upload.id);
  });

  it.each([
    ['larger than 64 MB', 'data', Buffer.alloc(64 * 1024 ** 2 + 1), { status: 413, code: 'file_too_large', param: 'data' }],
    ['that is empty', 'data', Buffer.alloc(0), { status: 400, param: 'data' }],
    ['in another field', 'file', Buffer.from('abc'), { status: 400, code: 'unknown_parameter', param: 'file' }],
  ])('a part %s › is refused and leaves nothing', async (_name, field, content, expected) => {
    const upload = await create(3);
    const form = new FormData();
    form.set(field, new File([content], 'part'));
    const { address } = service;
    const response = await fetch(`${address}/v1/uploads/${upload.id}/parts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${service.client.apiKey}` },
      body: form,
    });
    expect({ status: response.status, ...((await response.json()) as ErrorBody).error }).toMatchObject(expected);
    expect((await stored()).filter((key) => key.startsWith(keys.upload(upload.id)))).toEqual([]);
  });

  it('cancelled › loses its parts, can be cancelled again, but neither completed nor added to', async () => {
    const upload = await create(3);
    const { id } = await addPart(upload.id, 'abc');
    for (let times = 0; times < 2; times++) expect(await service.client.uploads.cancel(upload.id)).toMatchObject({ status: 'cancelled' });
    expect((await stored()).filter((key) => key.startsWith('uploads/'))).toEqual([]);
    expect(refusal(await complete(upload.id, [id]))).toMatchObject({ status: 400, code: 'upload_ended' });
    await expect(addPart(upload.id, 'abc')).rejects.toMatchObject({ status: 400, code: 'upload_ended' });
  });

  it('cancelled while a part arrives or while it is completed › leaves neither part nor file', async () => {
    const { objectStore } = service.services;
    const before = await stored();
    const upload = await create(3);
    const { id } = await addPart(upload.id, 'abc');
    const get = vi.spyOn(objectStore, 'get').mockImplementationOnce(async (key) => {
      await service.client.uploads.cancel(upload.id);
      return objectStore.get(key);
    });
    expect(refusal(await complete(upload.id, [id]))).toMatchObject({ status: 400, code: 'upload_ended' });
    get.mockRestore();

    const other = await create(3);
    const real = objectStore.put.bind(objectStore);
    const put = vi.spyOn(objectStore, 'put').mockImplementationOnce(async (key, body) => {
      const result = await real(key, body);
      await service.client.uploads.cancel(other.id);
      await real(key, Readable.from(['abc'])); // as if it had arrived after the cancellation
      return result;
    });
    await expect(addPart(other.id, 'abc')).rejects.toMatchObject({ status: 400, code: 'upload_ended' });
    put.mockRestore();
    expect(await stored()).toEqual(before);
  });

  it('that expires › cannot be completed, loses its parts an hour later, and is forgotten after a day', async () => {
    const upload = await create(3);
    const { id } = await addPart(upload.id, 'abc');
    await expire(upload.id, 1_000);
    expect((await service.inject({ url: `/v1/uploads/${upload.id}` })).json()).toMatchObject({ status: 'expired' });
    expect(refusal(await complete(upload.id, [id]))).toMatchObject({ status: 400, code: 'upload_ended' });
    await sweepUploads(service.services);
    expect((await stored()).filter((key) => key.startsWith(keys.upload(upload.id)))).toHaveLength(1);
    await expire(upload.id, HOUR_MS + 1_000);
    await sweepUploads(service.services);
    expect((await stored()).filter((key) => key.startsWith(keys.upload(upload.id)))).toEqual([]);
    await expire(upload.id, 24 * HOUR_MS + 1_000);
    await sweepUploads(service.services);
    expect(refusal(await service.inject({ url: `/v1/uploads/${upload.id}` }))).toMatchObject({ status: 404, code: 'upload_not_found' });
  });

  it('whose process is killed after a part was stored and before its row was written › is swept', async () => {
    const { objectStore } = service.services;
    await service.upload(); // most objects have their rows
    const upload = await create(3);
    await addPart(upload.id, 'abc');
    await objectStore.put(keys.uploadPart('upload_gone', 'part_x'), 'abc');
    const sweep = objectSweep(service.services);
    await sweep();
    await sweep();
    expect((await stored()).filter((key) => key.startsWith('uploads/')).map((key) => key.split('/')[1])).toEqual([upload.id]);
    await service.client.uploads.cancel(upload.id);
  });

  it('of another project › does not exist', async () => {
    const { uploads } = service.services;
    const theirs = {
      id: 'upload_theirs',
      filename: 'a',
      mimeType: 'text/plain',
      purpose: 'user_data',
      sizeBytes: 3,
      fileExpiresSeconds: null,
      source: {},
    } as const;
    await uploads.create('globex', { ...theirs, createdAt: new Date(), expiresAt: new Date(Date.now() + HOUR_MS) });
    await uploads.addPart({ owner: 'globex', id: theirs.id }, { id: 'part_theirs', sizeBytes: 3 }, { parts: 1, bytes: 3 });
    const url = `/v1/uploads/${theirs.id}`;
    for (const answer of [
      await service.inject({ url }),
      await service.inject({ url: `${url}/parts` }),
      await service.inject({ method: 'POST', url: `${url}/cancel` }),
      await complete(theirs.id, ['part_theirs']),
    ])
      expect(refusal(answer)).toMatchObject({ status: 404, code: 'upload_not_found' });
    await expect(addPart(theirs.id, 'abc')).rejects.toMatchObject({ status: 404 });
    expect(await uploads.parts('graft', theirs.id)).toEqual([]);
  });

  it.each([
    ['more than 8 GB', { bytes: 8 * 1024 ** 3 + 1 }, { param: 'bytes' }],
    ['a purpose that jobs write', { purpose: 'fine-tune-results' }, { param: 'purpose' }],
    ['an unknown key', { colour: 'red' }, { param: 'colour', code: 'unknown_parameter' }],
    ['a file that expires too soon', { expires_after: { anchor: 'created_at', seconds: 60 } }, { param: 'expires_after.seconds' }],
  ])('begun with %s › is refused', async (_name, more, expected) => {
    const body = { bytes: 3, filename: 'a.jsonl', mime_type: 'application/jsonl', purpose: 'fine-tune', ...more };
    expect(refusal(await service.post('/v1/uploads', body))).toMatchObject({ status: 400, ...expected });
  });
});
