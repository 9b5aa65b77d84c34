import { basename } from 'node:path';
import type { Context } from '../context.ts';
import { bytes } from '../terminal/amounts.ts';
import { safeLine } from '../terminal/text.ts';
import { downloadShown } from './download-shown.ts';

export async function downloadFile(id: string, out: string | undefined, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  // The service says which name the content has: a table has become JSON Lines.
  const target = out ?? localName((await service.client.files.retrieve(id)).filename);
  const done = await downloadShown(`/files/${encodeURIComponent(id)}/content`, target, { service, output });
  output.result({ id, path: done.path, bytes: done.bytes, sha256: done.sha256 }, `${safeLine(target)} (${bytes(done.bytes)}, sha256 ${done.sha256})`);
}

/** Names come from whoever uploaded the file: no path, nothing hidden. */
export const localName = (filename: string): string => basename(filename.replaceAll('\\', '/')).replace(/^\.+/, '') || 'file';
