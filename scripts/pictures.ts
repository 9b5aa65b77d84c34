/**
 * Takes the pictures in docs/pictures: starts a service with its own data, trains real jobs, records the command line that follows one, and looks at
 * every page of the dashboard in Chromium.
 * Usage: npm run pictures [-- terminal]
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { connect, hasEnded } from './demo/api.ts';
import { startService, stopService, untilReady } from './demo/child.ts';
import { pirateDataset, toJsonLines } from './demo/pirate-dataset.ts';
import { animatedSvg } from './pictures/animated-svg.ts';
import { record } from './pictures/terminal.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const PICTURES = join(root, 'docs/pictures');
const MODEL = 'graft-tiny';
/** A page with a few of them still loads at once. */
const MAX_BYTES = 100_000;
const WEBP_QUALITY = 0.85;
const READY_TIMEOUT_MS = 300_000;
const JOB_TIMEOUT_MS = 600_000;
/** Curves and lists come a moment after their page. */
const SETTLED_MS = 1_500;

const DESK = { viewport: { width: 1200, height: 800 }, deviceScaleFactor: 1.5 };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

/** As wide as a page of documentation. */
const TERMINAL = { columns: 96, rows: 28 };

type Api = ReturnType<typeof connect>;

async function main(): Promise<void> {
  const isTerminalAlone = process.argv[2] === 'terminal';
  const executablePath = ['chromium', 'chromium-browser', 'google-chrome']
    .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim())
    .find((path) => path !== '');
  if (executablePath === undefined) throw new Error('The pictures are taken in a browser: install chromium');
  mkdirSync(PICTURES, { recursive: true });
  const dataDir = mkdtempSync(join(tmpdir(), 'graft-pictures-'));
  const service = await startService({ root, dataDir, logFile: join(dataDir, 'service.log') });
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    await untilReady(service, READY_TIMEOUT_MS);
    const key = readFileSync(join(dataDir, 'api-key'), 'utf8').trim();
    if (!isTerminalAlone) await takeAll(browser, { url: service.url, key, api: connect(service.url, key) });
    await recordTerminal(dataDir, { url: service.url, key }); // last: the pictures begin with a service that has no jobs
  } finally {
    await browser.close();
    await stopService(service);
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** What `graft` shows of a job that it creates and follows. */
async function recordTerminal(dataDir: string, { url, key }: { url: string; key: string }): Promise<void> {
  const cwd = join(dataDir, 'recorded');
  mkdirSync(cwd);
  const { training, validation } = pirateDataset({ seed: 1, training: 200, validation: 40 });
  writeFileSync(join(cwd, 'train.jsonl'), toJsonLines(training));
  writeFileSync(join(cwd, 'validation.jsonl'), toJsonLines(validation));
  const args = ['jobs', 'create', '--model', MODEL, '--training-file', 'train.jsonl', '--validation-file', 'validation.jsonl'];
  args.push('--learning-rate', '5e-3', '--follow');
  const command = { command: process.execPath, args: [join(root, 'cli/graft.mjs'), ...args] };
  const env = { ...process.env, GRAFT_URL: url, GRAFT_API_KEY: key };
  const screens = await record({ ...TERMINAL, ...command, typed: `graft ${args.join(' ')}`, cwd, env });
  const picture = animatedSvg(screens, TERMINAL, 'graft creates a job and follows it: a progress bar, its losses as curves, and its events');
  writeFileSync(join(PICTURES, 'terminal.svg'), picture);
  console.log(`docs/pictures/terminal.svg  ${Math.round(picture.length / 1000)} kB, ${screens.length} screens`);
}

async function takeAll(browser: Browser, { url, key, api }: { url: string; key: string; api: Api }): Promise<void> {
  /** @param before  what is done on the page first */
  async function take(
    name: string,
    place: string,
    options: BrowserContextOptions & { before?: (page: Page) => Promise<unknown> } = {},
  ): Promise<void> {
    const { before, ...context } = options;
    const page = await browser.newPage({ ...DESK, ...context });
    if (place !== 'sign-in') await page.addInitScript(`sessionStorage.setItem('graft-key', '${key}')`);
    await page.goto(`${url}/#/${place}`);
    await page.waitForTimeout(SETTLED_MS);
    await before?.(page);
    const picture = await asWebp(browser, await page.screenshot());
    await page.context().close();
    if (picture.length > MAX_BYTES) throw new Error(`${name} has ${picture.length} bytes; a picture may have ${MAX_BYTES}`);
    writeFileSync(join(PICTURES, `${name}.webp`), picture);
    console.log(`docs/pictures/${name}.webp  ${Math.round(picture.length / 1000)} kB`);
  }
  const dark = { colorScheme: 'dark' } as const;

  await take('sign-in', 'sign-in');
  await take('jobs-empty', 'jobs');
  const { training, validation } = pirateDataset({ seed: 1, training: 240, validation: 40 });
  const [train, valid] = [
    await api.upload('pirate-training.jsonl', toJsonLines(training)),
    await api.upload('pirate-validation.jsonl', toJsonLines(validation)),
  ];
  const broken = await api.upload('export.jsonl', BROKEN);
  const create = (suffix: string, hyperparameters: object, tuning: object = { type: 'lora', r: 8 }) =>
    api.createJob({
      model: MODEL,
      training_file: train.id,
      validation_file: valid.id,
      suffix,
      tuning,
      method: { type: 'supervised', supervised: { hyperparameters: { batch_size: 8, lr_scheduler_type: 'cosine', ...hyperparameters } } },
    });
  const done = async (id: string) => {
    const deadline = Date.now() + JOB_TIMEOUT_MS;
    while (Date.now() < deadline) {
      const job = await api.job(id);
      if (job.status === 'succeeded') return;
      if (hasEnded(job)) throw new Error(`The job ${id} ended with status ${job.status}: ${job.error?.message}`);
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new Error(`The job ${id} did not end in time`);
  };
  const pirate = await create('pirate', { n_epochs: 3, learning_rate: 5e-3 });
  const careful = await create('pirate-careful', { n_epochs: 3, learning_rate: 1e-3 });
  for (const { id } of [pirate, careful]) await done(id);
  const live = await create('pirate-long', { n_epochs: 50, learning_rate: 2e-3 });
  await create('pirate-full', { n_epochs: 2 }, { type: 'full' });

  const page = await browser.newPage();
  await page.addInitScript(`sessionStorage.setItem('graft-key', '${key}')`);
  await page.goto(`${url}/#/jobs/${live.id}`);
  await page.getByRole('img', { name: /^Loss.* at step \d{2}/ }).waitFor({ timeout: JOB_TIMEOUT_MS });
  await page.context().close();
  const away = {
    before: (shown: Page) =>
      shown
        .context()
        .setOffline(true)
        .then(() => shown.getByText('cannot be reached').waitFor()),
  };
  for (const [suffix, look] of [
    ['', {}],
    ['-dark', dark],
    ['-phone', PHONE],
  ] as const) {
    await take(`jobs${suffix}`, 'jobs', look);
    await take(`job${suffix}`, `jobs/${live.id}`, look);
  }
  await take('jobs-unreachable', 'jobs', away);
  await take('new-job', `new?file=${train.id}`);
  await take('new-job-dark', `new?file=${train.id}`, dark);
  await take('new-job-phone', `new?file=${train.id}`, PHONE);
  await take('new-sweep', `sweeps/new?from=${pirate.id}`);
  await take('compare', `compare?jobs=${pirate.id},${careful.id}`);
  await take('receipt', `jobs/${pirate.id}/receipt`, { before: toTabs });
  await take('proof', `jobs/${pirate.id}/proof`, { before: toTabs });
  await take('lineage', `jobs/${pirate.id}/lineage`, { before: toTabs });
  await take('results', `jobs/${pirate.id}/results`, { before: toTabs });
  await take('models', 'models');
  await take('exports', 'exports');
  await take('files', 'files');
  await take('file-problems', `files/${broken.id}`);
  await take('workers', 'workers');
  await api.cancel(live.id);
  for (const [suffix, look] of [
    ['', {}],
    ['-dark', dark],
  ] as const)
    await take(`chat${suffix}`, `chat?model=${encodeURIComponent((await api.job(pirate.id)).fine_tuned_model ?? '')}`, { ...look, before: talk });
}

const toTabs = (page: Page) => page.evaluate("document.querySelector('.tabs').scrollIntoView()");

/** Asks the tuned model and its base the same. */
async function talk(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Second model' }).click();
  await page.getByLabel('Message', { exact: true }).fill('What does a penguin eat?');
  await page.getByRole('button', { name: 'Send' }).click();
  await page.getByRole('button', { name: 'Send' }).waitFor({ timeout: JOB_TIMEOUT_MS });
}

/** A browser can write WebP, which is half as large as PNG. */
async function asWebp(browser: Browser, png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  const url = await page.evaluate(`(async () => {
    const image = await createImageBitmap(await (await fetch('data:image/png;base64,${png.toString('base64')}')).blob());
    const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
    canvas.getContext('2d').drawImage(image, 0, 0);
    return canvas.toDataURL('image/webp', ${WEBP_QUALITY});
  })()`);
  await page.context().close();
  return Buffer.from(String(url).split(',')[1]!, 'base64');
}

/** Each line has another mistake. */
const BROKEN = [
  '{"messages": [{"role": "user", "content": "Where does a fox live?"}, {"role": "assistant", "content": "In a den."}]}',
  '{"messages": [{"role": "user", "content": "What does a penguin eat?"}]}',
  '{"messages": [{"role": "user", "content": "How tall is',
  '{"prompt": "A hammer is made of"}',
  '',
].join('\n');

await main();
