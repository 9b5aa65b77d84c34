/** Whole files: read as JSON, or written so that they appear complete or not at all. */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { MAX_JSON_BYTES } from '../../../src/formats/model-files.ts';
import { Refusal } from '../../../src/formats/refusal.ts';

/** @throws Refusal `corrupt_model_file` when the file cannot be read (with the hint) or is not JSON */
export function readJson(path: string, hint: string): unknown {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MAX_JSON_BYTES)
      throw new Refusal('corrupt_model_file', `${path} has ${size} bytes; the limit is ${MAX_JSON_BYTES}`, { param: 'model' });
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal('corrupt_model_file', `${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { param: 'model', hint });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Refusal('corrupt_model_file', `${path} is not JSON (${(error as Error).message})`, { param: 'model' });
  }
}

const temporaryName = (path: string): string => join(dirname(path), `.${basename(path)}.${process.pid}.partial`);

/**
 * Lets `write` fill a file beside `path`, syncs it and renames it into place.
 * @param write receives the open file
 */
export function replaceFile(path: string, write: (file: number) => void): void {
  const temporary = temporaryName(path);
  const file = openSync(temporary, 'w');
  let isOpen = true;
  try {
    write(file);
    fsyncSync(file);
    closeSync(file);
    isOpen = false;
    renameSync(temporary, path);
  } catch (error) {
    if (isOpen) closeSync(file);
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** The same for a file so large that other work must go on while it is written. */
export async function replaceFileSlowly(path: string, write: (file: number) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path);
  const file = await open(temporary, 'w');
  try {
    await write(file.fd);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(temporary, { force: true });
    throw error;
  }
  await file.close();
  await rename(temporary, path);
}

export function writeFileWhole(path: string, content: string | Uint8Array): void {
  replaceFile(path, (file) => writeFileSync(file, content));
}
