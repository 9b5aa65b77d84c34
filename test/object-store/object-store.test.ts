import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ObjectNotFound, type ObjectStore } from '../../src/object-store/object-store.ts';
import { openObjectStore } from '../../src/object-store/open.ts';
import { type S3Server, startS3Server } from './s3-server.ts';

let directory: string;
let s3: S3Server;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'graft-objects-'));
  s3 = await startS3Server();
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
  await s3?.close();
});

/** More than one part of a multipart upload, and not a whole number of them. */
const LARGE_BYTES = 20 * 1024 * 1024 + 17;

const kinds = {
  local: {
    url: () => `file://${directory}/objects`,
    unfinished: async () => (await readdir(join(directory, 'objects', '.unfinished'))).length,
    longMs: 60_000,
    leave: () => writeFile(join(directory, 'objects', '.unfinished', 'killed'), 'half'),
  },
  s3: {
    url: () => `s3://${s3.bucket}/some/prefix?endpoint=${encodeURIComponent(s3.endpoint)}`,
    unfinished: async () => {
      const client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true });
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: s3.bucket }));
      client.destroy();
      return Uploads.length;
    },
    longMs: 50 * 365 * 86_400_000, // moto says of every upload that it began in 2010
    leave: async () => {
      const client = new S3Client({ endpoint: s3.endpoint, region: 'us-east-1', forcePathStyle: true });
      await client.send(new CreateMultipartUploadCommand({ Bucket: s3.bucket, Key: 'some/prefix/files/killed' }));
      client.destroy();
    },
  },
};

async function* chunksOf(bytes: Buffer, { failAfter = Number.POSITIVE_INFINITY } = {}) {
  for (let from = 0; from < bytes.length; from += 1_000_000) {
    if (from >= failAfter) throw new Error('the source broke');
    yield bytes.subarray(from, from + 1_000_000);
  }
}

describe.each(Object.entries(kinds))('object store › %s', (_name, kind) => {
  let store: ObjectStore;
  beforeAll(async () => {
    store = await openObjectStore(kind.url());
  });
  afterAll(() => store?.close());

  it('an upload that was cut off › is removed when it is old enough', async () => {
    await kind.leave();
    expect(await kind.unfinished()).toBe(1);
    await store.removeUnfinished(kind.longMs);
    expect(await kind.unfinished()).toBe(1);
    await store.removeUnfinished(-5_000); // S3 counts in whole seconds
    expect(await kind.unfinished()).toBe(0);
  });

  it('a string, bytes and a stream › come back as they were stored', async () => {
    expect(await store.put('a/text', 'naïve')).toEqual({ sizeBytes: 6 });
    expect(await store.put('a/bytes', Buffer.from([0, 255, 1]))).toEqual({ sizeBytes: 3 });
    expect(await store.put('a/stream', Readable.from(['one ', 'two']))).toEqual({ sizeBytes: 7 });
    expect(await store.put('a/empty', '')).toEqual({ sizeBytes: 0 });
    expect(await text(await store.get('a/text'))).toBe('naïve');
    expect([...(await buffer(await store.get('a/bytes')))]).toEqual([0, 255, 1]);
    expect(await text(await store.get('a/stream'))).toBe('one two');
    expect(await text(await store.get('a/empty'))).toBe('');
    expect(await store.size('a/text')).toBe(6);
  });

  it.each([
    [0, 0, 'n'],
    [1, 3, 'aï'],
    [5, 5, 'e'],
    [0, 5, 'naïve'],
  ])('from byte %i to byte %i › gives those, both included', async (start, end, expected) => {
    await store.put('a/range', 'naïve');
    expect(await text(await store.get('a/range', { start, end }))).toBe(expected);
  });

  it('an object of many parts › streams in and out intact', async () => {
    const bytes = randomBytes(LARGE_BYTES);
    expect(await store.put('large', Readable.from(chunksOf(bytes)))).toEqual({ sizeBytes: LARGE_BYTES });
    expect(await store.size('large')).toBe(LARGE_BYTES);
    const hash = createHash('sha256');
    for await (const chunk of await store.get('large')) hash.update(chunk);
    expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
    await store.delete('large');
  });

  it.each([0, 2_000_000, 18_000_000])('a source that breaks after %i bytes › rejects and leaves nothing behind', async (failAfter) => {
    const source = Readable.from(chunksOf(Buffer.alloc(LARGE_BYTES), { failAfter }));
    await expect(store.put('broken', source)).rejects.toThrow('the source broke');
    expect(await store.size('broken')).toBeNull();
    expect(await kind.unfinished()).toBe(0);
  });

  it('a put whose source breaks › keeps the existing object', async () => {
    await store.put('kept', 'old');
    await expect(store.put('kept', Readable.from(chunksOf(Buffer.alloc(3_000_000), { failAfter: 1 })))).rejects.toThrow();
    expect(await text(await store.get('kept'))).toBe('old');
    await store.put('kept', 'new');
    expect(await text(await store.get('kept'))).toBe('new');
  });

  it('a missing object › get rejects with ObjectNotFound, size is null, delete does nothing', async () => {
    await expect(store.get('not/there')).rejects.toBeInstanceOf(ObjectNotFound);
    expect(await store.size('not/there')).toBeNull();
    await store.delete('not/there');
    await store.deletePrefix('not/');
  });

  it('list › gives the keys under a prefix, sorted, with sizes', async () => {
    for (const key of ['l/2/b', 'l/10/a', 'l/2/a', 'lx', 'm/l']) await store.put(key, key);
    const sizes = (keys: string[]) => keys.map((key) => ({ key, sizeBytes: key.length }));
    expect(await store.list('l/')).toEqual(sizes(['l/10/a', 'l/2/a', 'l/2/b']));
    expect(await store.list('l/2/')).toEqual(sizes(['l/2/a', 'l/2/b']));
    expect(await store.list('l')).toEqual(sizes(['l/10/a', 'l/2/a', 'l/2/b', 'lx']));
    expect(await store.list('none/')).toEqual([]);
  });

  it('deletePrefix › removes that folder and nothing beside it', async () => {
    for (const key of ['d/1/a', 'd/1/b/c', 'd/10/a']) await store.put(key, key);
    await store.deletePrefix('d/1/');
    expect((await store.list('d/')).map(({ key }) => key)).toEqual(['d/10/a']);
    await expect(store.deletePrefix('')).rejects.toThrow(/folder/);
    await expect(store.deletePrefix('d')).rejects.toThrow(/folder/);
  });

  it.each(['../out', 'a/../../out', '/etc/passwd', 'a//b', '', 'a\\b', '.hidden', 'a/.', 'nul\0'])('the key %j › is refused', async (key) => {
    await expect(store.put(key, 'x')).rejects.toThrow(/not a valid object key/);
    await expect(store.get(key)).rejects.toThrow(/not a valid object key/);
    await expect(store.delete(key)).rejects.toThrow(/not a valid object key/);
  });

  it('check › of a usable store › resolves and leaves no probe behind', async () => {
    await store.check();
    expect(await store.list('probes/')).toEqual([]);
  });
});

describe('openObjectStore', () => {
  it('with a missing bucket › opens, but fails its check', async () => {
    const store = await openObjectStore(`s3://missing?endpoint=${encodeURIComponent(s3.endpoint)}`);
    await expect(store.check()).rejects.toThrow(/bucket/i);
    await store.close();
  });

  it.each([
    ['ftp://host/x', /must begin with/],
    ['s3://bucket?endpont=x', /endpont/],
    ['s3://bucket?force_path_style=yes', /force_path_style/],
  ])('with %s › reports what is wrong', async (url, message) => {
    await expect(openObjectStore(url)).rejects.toThrow(message);
  });
});
