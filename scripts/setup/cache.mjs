/** The user's cache of downloads and builds, shared by all clones. */
import { existsSync, rmSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const cacheFolder = () => join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'graft');

/**
 * A folder of the cache, filled the first time it is requested. It is filled under another name and then renamed, so
 * that it is always complete, even if set-up is interrupted or runs several times at once.
 * @param {string} name
 * @param {(folder: string) => Promise<void>} fill
 * @returns {Promise<{folder: string, filled: boolean}>}
 */
export async function onceInCache(name, fill) {
  const folder = join(cacheFolder(), name);
  if (existsSync(folder)) return { folder, filled: false };
  await mkdir(cacheFolder(), { recursive: true });
  const unfinished = await mkdtemp(join(cacheFolder(), `.unfinished-${name}-`));
  const remove = () => rmSync(unfinished, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    await fill(unfinished);
    await chmod(unfinished, 0o755); // mkdtemp's 700 would lock out the user that an image runs as
    try {
      await rename(unfinished, folder);
    } catch (error) {
      if (!existsSync(folder)) throw error; // another set-up was faster: its folder is as good
    }
  } finally {
    process.off('exit', remove);
    remove();
  }
  return { folder, filled: true };
}
