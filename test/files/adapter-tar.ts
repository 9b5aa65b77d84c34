import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { pack } from 'tar-stream';

/** An adapter that PEFT wrote, of the model `llama-gqa-tied`. */
export const PEFT_ADAPTER = fileURLToPath(new URL('../fixtures/reference/cases/llama-gqa-tied/adapters/all-linear/adapter', import.meta.url));

export const filesOf = (dir: string): Record<string, Buffer> =>
  Object.fromEntries(readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))]));

/** @param files by their paths; null for a symbolic link */
export function tarOfFiles(files: Record<string, Buffer | string | null>): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(files)) {
    if (content === null) tar.entry({ name, type: 'symlink', linkname: '/etc/passwd' });
    else tar.entry({ name }, content);
  }
  tar.finalize();
  return buffer(tar as unknown as AsyncIterable<Buffer>);
}
