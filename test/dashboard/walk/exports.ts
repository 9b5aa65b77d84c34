import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { sha256 } from '../../sha256.ts';
import { unpackTar } from '../../unpack-tar.ts';
import { SLOW_MS, type Walk } from './walk.ts';

interface ExportList {
  data: { id: string; files: { name: string; sha256: string }[] }[];
}

/** Exports, and downloads that do not go through memory. */
export function walkExports(walk: () => Walk): void {
  it('exports a model, watches it and hands over the files', { timeout: 2 * SLOW_MS }, async () => {
    const { api, jobId, open } = walk();
    const page = await open(`jobs/${jobId}/results`);
    await page.getByLabel('Format').selectOption('mlx_adapter');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const button = page.getByRole('button', { name: 'Download all (tar) of MLX adapter' });
    const [download] = await Promise.all([page.waitForEvent('download'), button.click()]);
    await page.getByText('Events of MLX adapter').click();
    await page.getByText('The export has succeeded').waitFor();
    const files = await unpackTar(await readFile(await download.path()));
    const { data } = await api.get<ExportList>('/exports');
    expect(data).toHaveLength(1);
    expect([...files].map(([name, content]) => ({ name, sha256: sha256(content) }))).toEqual(
      data[0]!.files.map(({ name, sha256: hash }) => ({ name, sha256: hash })),
    );
  });

  it('lists an export of a kind and in a state that it does not know, and refuses what is impossible with the reason', {
    timeout: SLOW_MS,
  }, async () => {
    const page = await walk().open('jobs');
    await page.route(/\/v1\/exports\?/, async (route) => {
      const answer = await route.fetch();
      const { data, ...list } = (await answer.json()) as ExportList;
      const unknown = { ...data[0]!, id: 'export-unknown', format: 'carrier_pigeon', dtype: null, status: 'circling', files: [] };
      await route.fulfill({ response: answer, json: { ...list, data: [unknown, ...data] } });
    });
    await page.goto(page.url().replace(/#.*/, '#/exports'));
    await page.getByRole('heading', { name: 'carrier pigeon' }).waitFor();
    await page.getByText('circling').waitFor();
    await page.goto(page.url().replace(/#.*/, '#/exports?model=ft%3Anobody'));
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    await page.getByRole('alert').getByText('ft:nobody').waitFor();
  });

  it('writes a download of unknown size to the file that the user chooses, as it comes', { timeout: SLOW_MS }, async () => {
    const { api, jobId, open } = walk();
    const page = await open('jobs');
    await page.evaluate(CHOOSE_A_FILE);
    await page.getByRole('link', { name: 'trained' }).click();
    await page.getByRole('link', { name: 'Checkpoints and files' }).click();
    await page.getByRole('button', { name: 'Download the checkpoint of step 6' }).click();
    await page.getByText('Downloaded trained-step-6.tar').waitFor();
    const written = Buffer.from(String(await page.evaluate(WHAT_WAS_WRITTEN)), 'base64');
    expect(await unpackTar(written)).toEqual(await api.adapter(jobId, 6));
  });
}

/** There is no dialog without a screen: the file is one of the browser's own. */
const CHOOSE_A_FILE = `
  globalThis.showSaveFilePicker = async ({ suggestedName }) => (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true });
`;
const WHAT_WAS_WRITTEN = `(async () => {
  const root = await navigator.storage.getDirectory();
  const file = await (await root.getFileHandle('trained-step-6.tar')).getFile();
  return btoa(Array.from(new Uint8Array(await file.arrayBuffer()), (byte) => String.fromCharCode(byte)).join(''));
})()`;
