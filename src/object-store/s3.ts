import { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  NoSuchKey,
  NotFound,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { setByDefault } from '../config.ts';
import { checkedFolder, checkedKey, checkedPrefix } from './checked-key.ts';
import { ObjectNotFound, type ObjectStore } from './object-store.ts';
import { probe } from './probe.ts';

// Node 20 still works; Amazon's client would otherwise warn at every start that it will require a newer one next year.
setByDefault('AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED', 'true');

/** S3 allows 10,000 parts, hence objects up to 78 GiB, with 4 parts of 8 MiB in memory at a time. */
const PART_BYTES = 8 * 1024 * 1024;
const PARTS_AT_ONCE = 4;

/** S3's limit per DeleteObjects request. */
const DELETES_AT_ONCE = 1000;

export interface S3Location {
  bucket: string;
  /** Without leading or trailing slashes; may be empty. */
  prefix: string;
  /** For servers other than Amazon's. */
  endpoint?: string;
  region: string;
  /** Addresses objects as `endpoint/bucket/key` instead of `bucket.endpoint/key`; most other servers need it. */
  forcePathStyle: boolean;
}

/** Opens a bucket of any S3-compatible server. Credentials come from the standard AWS chain (environment, shared files, instance role). */
export async function openS3Store({ bucket, prefix, endpoint, region, forcePathStyle }: S3Location): Promise<ObjectStore> {
  const client = new S3Client({
    region,
    forcePathStyle,
    ...(endpoint !== undefined && { endpoint }),
    // The default adds checksums that many S3-compatible servers do not support.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const base = prefix === '' ? '' : `${prefix}/`;
  const address = (key: string) => ({ Bucket: bucket, Key: base + checkedKey(key) });

  const store: Omit<ObjectStore, 'check'> = {
    async put(key, body) {
      let sizeBytes = 0;
      async function* counted() {
        for await (const chunk of body instanceof Readable ? body : [body]) {
          const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer);
          sizeBytes += bytes.length;
          yield bytes;
        }
      }
      const Body = Readable.from(counted(), { objectMode: false });
      try {
        // An error in the source aborts the multipart upload, so nothing is left behind.
        await new Upload({ client, params: { ...address(key), Body }, partSize: PART_BYTES, queueSize: PARTS_AT_ONCE }).done();
      } finally {
        Body.destroy();
      }
      return { sizeBytes };
    },

    async get(key, range) {
      try {
        const { Body } = await client.send(new GetObjectCommand({ ...address(key), ...(range && { Range: `bytes=${range.start}-${range.end}` }) }));
        return Body as Readable; // in Node the SDK gives a Readable
      } catch (error) {
        throw error instanceof NoSuchKey ? new ObjectNotFound(key) : error;
      }
    },

    async size(key) {
      try {
        return (await client.send(new HeadObjectCommand(address(key)))).ContentLength ?? 0;
      } catch (error) {
        if (error instanceof NotFound || error instanceof NoSuchKey) return null;
        throw error;
      }
    },

    async list(prefix) {
      const found: { key: string; sizeBytes: number }[] = [];
      let ContinuationToken: string | undefined;
      do {
        const page = await client.send(
          new ListObjectsV2Command({ Bucket: bucket, Prefix: base + checkedPrefix(prefix), ...(ContinuationToken && { ContinuationToken }) }),
        );
        for (const { Key, Size } of page.Contents ?? []) found.push({ key: Key!.slice(base.length), sizeBytes: Size ?? 0 });
        ContinuationToken = page.NextContinuationToken;
      } while (ContinuationToken !== undefined);
      return found.sort((a, b) => (a.key < b.key ? -1 : 1));
    },

    async delete(key) {
      await client.send(new DeleteObjectCommand(address(key)));
    },

    async deletePrefix(prefix) {
      const found = await store.list(checkedFolder(prefix));
      for (let from = 0; from < found.length; from += DELETES_AT_ONCE) {
        const Objects = found.slice(from, from + DELETES_AT_ONCE).map(({ key }) => ({ Key: base + key }));
        const { Errors = [] } = await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects, Quiet: true } }));
        if (Errors.length > 0) throw new Error(`${Errors.length} objects under "${prefix}" could not be deleted: ${Errors[0]?.Message}`);
      }
    },

    async removeUnfinished(olderThanMs) {
      const before = Date.now() - olderThanMs;
      let marker: Pick<ListMultipartUploadsCommandOutput, 'KeyMarker' | 'UploadIdMarker'> | undefined;
      do {
        const page = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: base, ...marker }));
        for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
          if (Initiated === undefined || Initiated.getTime() > before) continue;
          await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
        }
        marker = page.IsTruncated === true ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker } : undefined;
      } while (marker !== undefined);
    },

    async close() {
      client.destroy();
    },
  };
  return { ...store, check: () => probe(store) };
}
