/** Uploads of files of any size, in parts where a file is large. */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { toFile } from 'openai';
import type { FileObject } from 'openai/resources/files';
import type { Service } from '../service.ts';

/** A smaller file goes in one request. */
const ONE_REQUEST_BYTES = 8 * 1024 ** 2;
/** The size of a part: small enough to show progress and to send again. The service takes up to 64 MiB. */
const PART_BYTES = 8 * 1024 ** 2;

export interface UploadChoices {
  purpose: string;
  format?: string;
  map?: Record<string, string>;
}

/** @param onProgress gets the bytes that have arrived. @throws APIError, and errors of the file system */
export async function upload(
  path: string,
  { purpose, format, map = {} }: UploadChoices,
  { service: { client }, onProgress }: { service: Service; onProgress(sent: number, total: number): void },
): Promise<FileObject> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const table = { ...(format !== undefined && { format }), ...(Object.keys(map).length > 0 && { mapping: map }) };
    onProgress(0, size);
    if (size <= ONE_REQUEST_BYTES) {
      const content = await toFile(await file.readFile(), basename(path));
      const created = await client.files.create({ file: content, purpose: purpose as 'fine-tune', ...table });
      onProgress(size, size);
      return created;
    }
    const begun = await client.uploads.create({
      bytes: size,
      filename: basename(path),
      mime_type: 'application/octet-stream',
      purpose: purpose as 'fine-tune',
      ...table,
    });
    try {
      const md5 = createHash('md5');
      const partIds: string[] = [];
      let sent = 0;
      for await (const part of partsOf(file)) {
        md5.update(part);
        partIds.push((await client.uploads.parts.create(begun.id, { data: await toFile(part, 'part') })).id);
        sent += part.length;
        onProgress(sent, size);
      }
      const { file: created } = await client.uploads.complete(begun.id, { part_ids: partIds, md5: md5.digest('hex') });
      return created!;
    } catch (error) {
      await client.uploads.cancel(begun.id).catch(() => {}); // it would otherwise keep the parts for an hour
      throw error;
    }
  } finally {
    await file.close();
  }
}

async function* partsOf(file: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(PART_BYTES), position });
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
