/** The files of a folder and its sub-folders. */
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

/** @returns paths relative to the folder, in the same order on every machine */
export function filesBelow(/** @type {string} */ folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
