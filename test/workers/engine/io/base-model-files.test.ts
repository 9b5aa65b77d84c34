import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFileHashes } from '../../../../workers/engine/io/base-model-files.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'graft-hashes-'));
  await cp(fileURLToPath(new URL('../../../fixtures/reference/cases/llama-untied-v4/model', import.meta.url)), dir, { recursive: true });
  await writeFile(join(dir, 'README.md'), 'says nothing of the model');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("a base model's files", () => {
  it('are weights, configuration, tokenizer and template, with the hashes of sha256sum', async () => {
    const files = await openFileHashes()(dir);
    const names = (await readdir(dir)).filter((name) => name !== 'README.md').sort();
    expect(files.map(({ name }) => name)).toEqual(names);
    const theirs = execFileSync('sha256sum', names, { cwd: dir, encoding: 'utf8' });
    expect(files.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')).toBe(theirs);
  });

  it('are read again only when their size or modification time has changed', async () => {
    const hashesOf = openFileHashes();
    const path = join(dir, 'config.json');
    const hash = async () => (await hashesOf(dir)).find(({ name }) => name === 'config.json')!.sha256;
    const time = new Date('2026-01-01');
    await utimes(path, time, time);
    const first = await hash();
    const config = await readFile(path, 'utf8');
    const changed = config.replace(/\d/, (digit) => String((Number(digit) + 1) % 10));
    await writeFile(path, changed);
    await utimes(path, time, time); // the same size and time: the known hash is used
    expect(await hash()).toBe(first);
    await utimes(path, time, new Date('2026-01-02'));
    const second = await hash();
    expect(second).not.toBe(first);
    await writeFile(path, `${changed} `);
    expect(await hash()).not.toBe(second);
  });
});
