/** The page at /docs, used in Chromium as a person would. */
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { npmTool } from '../../reference/npm-tool.ts';
import { sameAnswer } from '../journey/dataset.ts';
import type { Tested } from './tester.ts';

const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'];
const OPERATION = '#operations-Files-createFile';

/** What is used of puppeteer-core. */
interface Page {
  goto(url: string): Promise<unknown>;
  waitForSelector(selector: string): Promise<{ uploadFile(path: string): Promise<void> }>;
  click(selector: string): Promise<void>;
  type(selector: string, text: string): Promise<void>;
  $eval(selector: string, evaluated: (element: { textContent: string }) => string): Promise<string>;
}

/** Uploads a file through the form, and leaves the other fields as the form has them. Says so where there is no browser. */
export async function uploadAtDocs({ url, apiKey, folder }: Tested): Promise<void> {
  const executablePath = CHROMIUM.map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()).find((path) => path !== '');
  if (executablePath === undefined) return console.log(`NOT TRIED: the page at /docs, which needs one of ${CHROMIUM.join(', ')} on PATH`);
  const dataset = join(folder, 'at-docs.jsonl');
  await writeFile(dataset, sameAnswer(4));
  const { default: puppeteer } = await import(pathToFileURL(join(await npmTool('puppeteer-core'), 'lib/esm/puppeteer/puppeteer-core.js')).href);
  // Chromium's sandbox refuses root, whom containers run tests as.
  const browser = await puppeteer.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page: Page = await browser.newPage();
    const press = async (selector: string) => {
      await page.waitForSelector(selector);
      await page.click(selector);
    };
    await page.goto(`${url}/docs`);
    await press('.btn.authorize');
    await page.waitForSelector('.auth-container input');
    await page.type('.auth-container input', apiKey);
    await press('.auth-btn-wrapper .authorize');
    await press('.auth-btn-wrapper .btn-done');
    await press(`${OPERATION} .opblock-summary-control`);
    await press(`${OPERATION} .try-out__btn`);
    await (await page.waitForSelector(`${OPERATION} input[type=file]`)).uploadFile(dataset);
    await press(`${OPERATION} .execute`);
    await page.waitForSelector(`${OPERATION} .live-responses-table`);
    const answer = await page.$eval(`${OPERATION} .live-responses-table`, (element) => element.textContent);
    if (!answer.includes('"filename": "at-docs.jsonl"') || answer.includes('expires_at')) throw new Error(`The upload at /docs answers ${answer}`);
  } finally {
    await browser.close();
  }
}
