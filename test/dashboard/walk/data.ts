import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { pairs, sameAnswer } from '../../journey/dataset.ts';
import { SLOW_MS, type Walk } from './walk.ts';

/** From a file that is dropped to what its job would need, and what a job was asked. */
export function walkData(walk: () => Walk): void {
  it('finds what is wrong with a file that is dropped, by line, and measures a job on the next in a dry run', { timeout: 2 * SLOW_MS }, async () => {
    const { api, open } = walk();
    const page = await open('new');
    const broken = [sameAnswer(1).trim(), '{"messages": [{"role": "user"', '{"prompt": "no completion"}'].join('\n');
    await drop(page, 'broken.jsonl', broken);
    const found = page.getByRole('list', { name: 'Problems by line' }).getByRole('listitem');
    await found.first().waitFor();
    const lines = (await found.allTextContents()).map((text) => text.slice(0, 'line 2'.length));
    expect(lines).toEqual(['line 2', 'line 3']);

    await drop(page, 'good.jsonl', sameAnswer(12));
    await page.getByText('12 lines: 12 chat').waitFor();
    const needs = page.getByRole('complementary', { name: 'What the job needs' });
    await needs.getByText('Examples', { exact: true }).waitFor();
    expect(await needs.locator('dl').first().textContent()).toMatch(/Memory\s*[\d.]+ [MG]B[\s\S]*Examples\s*12[\s\S]*Workers\s*1 of 1 have room/);
    await page.getByLabel(/^Dry run/).check();
    expect(await page.getByRole('region', { name: 'the job in curl' }).textContent()).toContain('"dry_run": true');
    await page.getByRole('button', { name: 'Create the dry run' }).click();
    await page.getByRole('heading', { name: 'What the job would need' }).waitFor();
    const id = new URL(page.url()).hash.split('/')[2]!;
    const measured = await api.report<{ total_steps: number; memory: { peak_bytes: number } }>(id, 'dry_run');
    const peak = Number((measured.memory.peak_bytes / 1e6).toPrecision(3));
    const report = () => page.getByRole('main').textContent();
    await expect.poll(report, { timeout: SLOW_MS }).toMatch(new RegExp(`peak\\s*${peak} MB[\\s\\S]*Steps\\s*${measured.total_steps}\\D`));
  });

  it('says that pairs of answers need another objective, and draws what DPO measures of them', { timeout: 2 * SLOW_MS }, async () => {
    const page = await walk().open('new');
    await drop(page, 'pairs.jsonl', pairs(8));
    await page.getByText('Choose DPO, ORPO, SimPO, or KTO as the objective').waitFor();
    await page.getByRole('radio', { name: /^DPO/ }).check();
    await page.getByText('Choose DPO,').waitFor({ state: 'detached' });
    await page.getByRole('textbox', { name: 'Beta' }).fill('0.2');
    await page.getByRole('textbox', { name: 'Epochs' }).fill('1');
    const code = await page.getByRole('region', { name: 'the job in curl' }).textContent();
    expect(JSON.parse(/-d '([\s\S]*)'$/.exec(code!)![1]!).method).toEqual({ type: 'dpo', dpo: { hyperparameters: { n_epochs: 1, beta: 0.2 } } });
    await page.getByRole('button', { name: 'Create the job' }).click();
    await page.getByRole('img', { name: /^Preference accuracy\. training: [\d.]+ at step 1/ }).waitFor();
    await page.getByRole('img', { name: /^Reward margin\. training: / }).waitFor();
    await page.getByText('share of pairs').waitFor();
  });

  it('shows answers and scores before training beside the newest, and copies the questions to a job like it', { timeout: SLOW_MS }, async () => {
    const { api, jobId, open } = walk();
    const page = await open(`jobs/${jobId}/samples`);
    await page.getByText('Before training').first().waitFor();
    await page.locator('.answer').first().waitFor();
    const shown = await page.locator('.answer').allTextContents();
    const { data } = await api.get<{ data: { step_number: number; text: string }[] }>(`/fine_tuning/jobs/${jobId}/samples?limit=100`);
    const texts = data.toReversed().map(({ text }) => text);
    expect(shown.slice(0, 2).map((text) => text.replace(' … (cut at its longest)', ''))).toEqual([texts[0], texts.at(-1)]);
    const { data: scores } = await api.report<{ data: { base: number; tuned: number }[] }>(jobId, 'evaluations');
    const cells = await page.getByRole('row', { name: /^same/ }).getByRole('cell').allTextContents();
    expect(cells.slice(0, 2).map(Number)).toEqual([scores[0]!.base, scores[0]!.tuned].map((score) => Number(score.toPrecision(3))));

    await page.goto(page.url().replace(/#.*/, `#/new?from=${jobId}`));
    const code = JSON.parse(/-d '([\s\S]*)'$/.exec((await page.getByRole('region', { name: 'the job in curl' }).textContent())!)![1]!);
    const job = await api.get<Record<string, unknown>>(`/fine_tuning/jobs/${jobId}`);
    for (const name of ['sample_prompts', 'evaluations', 'evaluation_file', 'max_completion_tokens']) expect(code[name]).toEqual(job[name]);
  });
}

/** Lets a file fall onto the place for the training file. */
async function drop(page: Page, name: string, content: string): Promise<void> {
  const file = `new File([${JSON.stringify(content)}], ${JSON.stringify(name)})`;
  const dataTransfer = await page.evaluateHandle(`[new DataTransfer()].map((held) => (held.items.add(${file}), held))[0]`);
  await page.locator('.drop').first().dispatchEvent('drop', { dataTransfer });
}
