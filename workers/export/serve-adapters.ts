/** Adapters in the directory that a vLLM serves from: puts exports there, and takes away those that no longer exist. */
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Export } from '../../src/exports/export.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import type { Services } from '../../src/services.ts';
import type { VllmConfig } from '../../src/vllm/config.ts';
import { openVllm, type Vllm } from '../../src/vllm/vllm.ts';

/** How long a deleted adapter may still be served, and one be missing after vLLM was started again. */
export const LOOK_AFTER_EVERY_MS = 5_000;
/** Beside PEFT's files: which export a directory is of. Others are left alone. */
const MARK = '.graft-export';

interface Serving {
  exports: Services['exports'];
  log: Logger;
}

const vllmOf = ({ url, apiKey }: VllmConfig): Vllm | null => (url === null ? null : openVllm({ url, apiKey }));

/** @returns the id of the export that a directory is of; null for others */
const markOf = (dir: string): Promise<string | null> => readFile(join(dir, MARK), 'utf8').catch(() => null);

/**
 * Has vLLM serve an adapter.
 * @param dir  the adapter's files, which are copied
 * @throws Refusal if the name is taken, or vLLM refuses the adapter
 */
export async function serveAdapter(
  { id, vllmName: name }: Pick<Export, 'id'> & { vllmName: string },
  dir: string,
  config: VllmConfig,
): Promise<void> {
  const place = join(config.adaptersDir, name);
  await mkdir(config.adaptersDir, { recursive: true });
  const mark = await markOf(place);
  const isTaken = mark !== id && (mark !== null || (await readdir(place).catch(() => [])).length > 0);
  if (isTaken) throw new Refusal('vllm_name_taken', `Another model is served as "${name}"`, { param: 'vllm.name', hint: 'Choose another name.' });
  // vLLM may look at any moment: the directory is there with all of its files, or not at all.
  const arriving = join(config.adaptersDir, `.${id}`);
  await rm(arriving, { recursive: true, force: true });
  await cp(dir, arriving, { recursive: true });
  await writeFile(join(arriving, MARK), id);
  await rm(place, { recursive: true, force: true });
  await rename(arriving, place);
  try {
    await vllmOf(config)?.load(name, place);
  } catch (error) {
    await rm(place, { recursive: true, force: true });
    throw error;
  }
}

/** Unloads and removes adapters whose exports are gone, and loads those again that vLLM has forgotten. */
export async function lookAfterAdapters(config: VllmConfig, { exports, log }: Serving): Promise<void> {
  const vllm = vllmOf(config);
  const names = await readdir(config.adaptersDir).catch(() => []);
  const marks = new Map<string, string>();
  for (const name of names) {
    const mark = name.startsWith('.') ? null : await markOf(join(config.adaptersDir, name));
    if (mark !== null) marks.set(name, mark);
  }
  if (marks.size === 0) return;
  const found = new Map((await exports.findFolders([...marks.values()])).map((one) => [one.id, one.status]));
  const served = vllm && (await vllm.served());
  for (const [name, id] of marks) {
    const place = join(config.adaptersDir, name);
    const status = found.get(id);
    if (status === 'queued' || status === 'running') continue;
    if (status !== 'succeeded') {
      await vllm?.unload(name);
      await rm(place, { recursive: true, force: true });
      log.info({ exportId: id, name }, 'vLLM no longer serves an adapter');
    } else if (served && !served.has(name)) {
      await vllm!.load(name, place);
      log.info({ exportId: id, name }, 'vLLM serves an adapter again');
    }
  }
}
