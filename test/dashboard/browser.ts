/** Debian's Chromium, driven as a person would use it. */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, chromium, type Page } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The path of a browser; null where there is none, except in continuous integration, which must have one. */
export function findChromium(): string | null {
  const path = NAMES.map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim()).find((found) => found !== '') ?? null;
  if (path === null && process.env['CI'] !== undefined) throw new Error(`The dashboard is tried in a browser: install one of ${NAMES.join(', ')}`);
  return path;
}

// Chromium's sandbox refuses root, whom containers run tests as.
export const openBrowser = (executablePath: string): Promise<Browser> => chromium.launch({ executablePath, args: ['--no-sandbox'] });

/** @returns what the page has complained of; a policy that was broken is among it */
export function complaintsOf(page: Page): string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // An answer that says no is the page's to show, and one that does not come too.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) complaints.push(message.text());
  });
  return complaints;
}

const SEVERE = ['serious', 'critical'];

/** @param rules  only these; default: all. @returns what axe finds serious or critical on the page as it is */
export async function barriersOn(page: Page, rules: string[] = []): Promise<string[]> {
  const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(`${source};0`); // not its value, which is axe itself
  const { violations } = (await page.evaluate(`axe.run(${rules.length === 0 ? '' : JSON.stringify({ runOnly: rules })})`)) as Axe;
  return violations
    .filter(({ impact }) => SEVERE.includes(impact))
    .flatMap(({ id, impact, nodes }) => nodes.map(({ html, failureSummary }) => `${impact} ${id}: ${html} ${failureSummary}`));
}

interface Axe {
  violations: { id: string; impact: string; nodes: { html: string; failureSummary: string }[] }[];
}
