import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Api, connect } from '../journey/api.ts';
import { sameAnswer } from '../journey/dataset.ts';
import { JOURNEY_KEY, makeHome, startService } from '../journey/service.ts';
import { unpackTar } from '../unpack-tar.ts';
import { barriersOn, complaintsOf, findChromium, openBrowser } from './browser.ts';
import { walkChat } from './walk/chat.ts';
import { walkData } from './walk/data.ts';
import { walkExports } from './walk/exports.ts';
import { walkSweeps } from './walk/sweeps.ts';
import { SLOW_MS, type Walk } from './walk/walk.ts';

const executablePath = findChromium();

const STEPS = 24;
const hyperparameters = { n_epochs: 4, batch_size: 2 };
/** What a job asks its model, of the examples in a file. */
const questions = (evaluationFile: string) => ({
  sample_prompts: [[{ role: 'user', content: 'Question 1?' }]],
  evaluations: [
    {
      type: 'text_similarity',
      name: 'same',
      input: '{{sample.output_text}}',
      reference: '{{item.reference_answer}}',
      evaluation_metric: 'fuzzy_match',
    },
  ],
  evaluation_file: evaluationFile,
  max_completion_tokens: 8,
});

describe.skipIf(executablePath === null)('the dashboard in Chromium', () => {
  let home: Awaited<ReturnType<typeof makeHome>>;
  let service: Awaited<ReturnType<typeof startService>>;
  /** The address of the dashboard, and of the service. */
  let origin: string;
  let browser: Browser;
  let api: Api;
  let fileId: string;
  /** A job that has succeeded. */
  let jobId: string;
  let complaints: string[];

  const create = (suffix: string, chosen: object = hyperparameters, more: object = {}) =>
    api.create({ model: 'tiny', training_file: fileId, suffix, method: { type: 'supervised', supervised: { hyperparameters: chosen } }, ...more });

  beforeAll(async () => {
    home = await makeHome();
    [service, browser] = await Promise.all([startService(home, { workers: 1 }), openBrowser(executablePath!)]);
    api = connect(service.url);
    origin = new URL(service.url).origin;
    await api.model('tiny');
    fileId = await api.upload(sameAnswer(12));
    jobId = (await create('trained', hyperparameters, questions(fileId))).id;
    await api.over(jobId);
  }, 2 * SLOW_MS);
  afterEach(() => expect(complaints).toEqual([]));
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
    await home?.remove();
  });

  /** A tab of its own at a page. @param options.key  the key that it was given before */
  async function open(place: string, { key = JOURNEY_KEY }: { key?: string | null } = {}): Promise<Page> {
    for (const context of browser.contexts()) await context.close();
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    page.setDefaultTimeout(SLOW_MS);
    complaints = complaintsOf(page);
    if (key !== null) await page.addInitScript(`sessionStorage.setItem('graft-key', '${key}')`);
    await page.goto(`${origin}/#/${place}`);
    return page;
  }

  const walk = (): Walk => ({ api, fileId, jobId, open });
  walkChat(walk);
  walkData(walk);
  walkExports(walk);
  walkSweeps(walk);

  it('asks for a key once, and says what is wrong with one', { timeout: SLOW_MS }, async () => {
    const page = await open('models', { key: null });
    await page.getByLabel('API key').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The API key is wrong').waitFor();
    expect(await barriersOn(page)).toEqual([]);
    await page.getByLabel('API key').fill(JOURNEY_KEY);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Tuned models' }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Tuned models' }).waitFor();
    expect(await page.evaluate('[Object.keys(sessionStorage), Object.keys(localStorage)]')).toEqual([['graft-key'], []]);
  });

  it('with the keyboard alone creates a job and follows it to its end, and shows markup as text', { timeout: 2 * SLOW_MS }, async () => {
    const page = await open('jobs');
    await page.getByRole('link', { name: 'trained' }).waitFor();
    await tabTo(page, /^New job/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'New job', exact: true }).waitFor();
    const filename = 'my <img src=x onerror=alert(1)>.jsonl';
    const choosing = page.waitForEvent('filechooser'); // before the keys, so that the browser has been told to report it
    await tabTo(page, /^choose a training file/);
    await page.keyboard.press('Enter');
    await (await choosing).setFiles({ name: filename, mimeType: 'application/jsonl', buffer: Buffer.from(sameAnswer(12)) });
    await page.getByText('12 lines: 12 chat').waitFor();
    expect(await page.getByLabel('Training file', { exact: true }).textContent()).toContain(filename);
    await tabTo(page, /^Epochs/);
    await page.keyboard.type('4');
    await tabTo(page, /^Batch size/);
    await page.keyboard.type('2');
    await tabTo(page, /^Name/);
    await page.keyboard.type('<i>x</i>');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').getByText('<i>x</i>').waitFor();
    await tabTo(page, /^Name/);
    await page.keyboard.press('Control+A');
    await page.keyboard.type('walked');
    expect(await page.getByRole('region', { name: 'the job in curl' }).textContent()).toContain('"n_epochs": 4');
    await tabTo(page, /^Create the job/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'walked' }).waitFor();
    await page.getByRole('region', { name: 'State' }).getByText('succeeded').waitFor();
    await page.getByRole('img', { name: new RegExp(`^Loss\\. training: .* at step ${STEPS}`) }).waitFor();
  });

  it('draws what a job measured, and has it as a table too', { timeout: SLOW_MS }, async () => {
    const page = await open(`jobs/${jobId}`);
    const figure = page.getByRole('figure').filter({ has: page.getByRole('img', { name: /^Loss\. training: / }) });
    await figure.getByText('As a table').click();
    const rows = (await metrics(jobId)).map(({ step, metrics: { train_loss: loss } }) => `${step}${Number(loss!.toPrecision(loss! < 1 ? 3 : 4))}`);
    expect(rows).toHaveLength(STEPS);
    expect((await figure.getByRole('row').allTextContents()).slice(1)).toEqual(rows);
    expect(await page.evaluate(HAS_DRAWN)).toBe(true);
    for (const title of ['Learning rate', 'Gradient norm', 'Tokens per second', 'Memory'])
      await page.getByRole('img', { name: new RegExp(`^${title}`) }).waitFor();
  });

  it('hands over the adapter, byte for byte', { timeout: SLOW_MS }, async () => {
    const page = await open(`jobs/${jobId}/results`);
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download all (tar)', exact: true }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('trained.tar');
    const files = await unpackTar(await readFile(await download.path()));
    expect(files.get('adapter_model.safetensors')).toBeDefined();
    expect(files).toEqual(await api.adapter(jobId));
  });

  it('pauses a job, resumes it and cancels it', { timeout: SLOW_MS }, async () => {
    const { id } = await create('handled', { n_epochs: 50, batch_size: 1 });
    const page = await open(`jobs/${id}`);
    const state = page.getByRole('region', { name: 'State' });
    for (const [action, status] of [
      ['Pause', /paused/],
      ['Resume', /queued|reading files|running/],
      ['Cancel', /cancelled/],
    ] as const) {
      await page.getByRole('button', { name: action }).click();
      await state.getByText(status).waitFor();
    }
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete the job' }).click();
    await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor();
    expect((await api.jobs()).map((job) => job.id)).not.toContain(id);
  });

  it('shows the curves of several jobs in one plot, and what differs between them', { timeout: 2 * SLOW_MS }, async () => {
    const { id } = await create('other', { ...hyperparameters, batch_size: 4 });
    await api.over(id);
    const page = await open('jobs');
    for (const name of ['trained', 'other']) await page.getByLabel(`Compare ${name}`).check();
    await page.getByRole('link', { name: 'Compare 2 jobs' }).click();
    await page.getByRole('img', { name: /^Training loss\. trained.* at step 24\. other.* at step 12/ }).waitFor();
    expect(await page.getByRole('row', { name: /^batch_size/ }).textContent()).toBe('batch_size24');
    expect(await page.getByRole('row', { name: /^n_epochs/ }).count()).toBe(0);
  });

  it('says when the service is away, and follows a job on when it is back', { timeout: 4 * SLOW_MS }, async () => {
    const { id } = await create('long', { n_epochs: 50, batch_size: 1 });
    const page = await open(`jobs/${id}`);
    await page.getByRole('img', { name: /^Loss/ }).waitFor();
    await service.stop();
    await page.getByText('The service cannot be reached').waitFor();
    service = await startService(home, { workers: 1 }, { PORT: new URL(service.url).port });
    await page.getByText('The service cannot be reached').waitFor({ state: 'detached' });
    await page.getByRole('img', { name: /^Loss\. training: .* at step 600/ }).waitFor();
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    const told = await page.getByRole('main').getByRole('listitem').allTextContents();
    expect(told.filter((text) => text.includes('Created fine-tuning job'))).toHaveLength(1);
  });

  it('has no serious barrier on any page, in light and dark', { timeout: 4 * SLOW_MS }, async () => {
    const page = await open('jobs');
    const parts = ['curves', 'samples', 'events', 'results', 'receipt', 'proof', 'lineage'].map((part) => `jobs/${jobId}/${part}`);
    const found: string[] = [];
    for (const place of [
      'jobs',
      ...parts,
      `new?from=${jobId}`,
      `compare?jobs=${jobId}`,
      'sweeps',
      'sweeps/new',
      'models',
      'chat',
      'exports',
      'files',
      `files/${fileId}`,
      'workers',
    ]) {
      await page.goto(`${origin}/#/${place}`);
      await page.locator('main :is(.card, .card-plain, .table-box, .state):not(:has(.skeleton))').first().waitFor();
      for (const [colorScheme, rules] of [
        ['light', []],
        ['dark', ['color-contrast']],
      ] as const) {
        await page.emulateMedia({ colorScheme });
        found.push(...(await barriersOn(page, [...rules])).map((barrier) => `${place}, ${colorScheme}: ${barrier}`));
      }
    }
    expect(found).toEqual([]);
  });

  async function metrics(id: string): Promise<{ step: number; metrics: Record<string, number> }[]> {
    const answer = await fetch(`${service.url}/fine_tuning/jobs/${id}/metrics`, { headers: { authorization: `Bearer ${JOURNEY_KEY}` } });
    return ((await answer.json()) as { data: never[] }).data;
  }
});

const FOCUSED =
  '[document.activeElement].map((focused) => focused === document.body ? "" : (focused?.labels?.[0]?.textContent || focused?.textContent))[0]';
const HAS_DRAWN =
  "[document.querySelector('canvas')].some((canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0))";

/** More than there are controls on any page. */
const MAX_TABS = 80;

/** Presses Tab until the control of this name has the focus. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
  for (let presses = 0; presses < MAX_TABS; presses++) {
    await page.keyboard.press('Tab');
    if (name.test(String(await page.evaluate(FOCUSED)).trim())) return;
  }
  throw new Error(`The Tab key does not lead to ${name}`);
}
