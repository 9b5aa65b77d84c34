import { join } from 'node:path';
import type { Context } from '../context.ts';
import { Failure } from '../exit-code.ts';
import type { Downloaded } from '../files/download.ts';
import { localName } from '../files/download-file.ts';
import { downloadShown } from '../files/download-shown.ts';
import type { Service } from '../service.ts';
import { bytes } from '../terminal/amounts.ts';
import { safeLine } from '../terminal/text.ts';
import type { Export } from './export.ts';

export async function downloadExport(id: string, out: string, { service: connect, output }: Context): Promise<void> {
  const service = await connect();
  const found = await service.client.get<Export>(`/exports/${encodeURIComponent(id)}`);
  if (found.files.length === 0) throw new Failure(`The export ${id} is ${found.status} and has no files`);
  await saveFiles(found, out, { service, output });
}

/** Each file by itself, so that it can be continued and checked. */
export async function saveFiles(
  { id, files }: Export,
  out: string,
  { service, output }: { service: Service; output: Context['output'] },
): Promise<void> {
  const saved: Downloaded[] = [];
  for (const { name } of files) {
    const path = `/exports/${encodeURIComponent(id)}/files/${encodeURIComponent(name)}`;
    saved.push(await downloadShown(path, join(out, localName(name)), { service, output }));
  }
  const text = saved.map(({ path, bytes: size }) => `${safeLine(path)} (${bytes(size)})`).join('\n');
  output.result({ export: id, directory: out, files: saved }, text);
}
