import type { Locator } from 'playwright-core';
import { expect, it } from 'vitest';
import { barriersOn } from '../browser.ts';
import { SLOW_MS, type Walk } from './walk.ts';

interface Sweep {
  id: string;
  winner: { index: number; job_id: string; value: number };
  trials: { values: object; job_id: string; metric: { value: number; step: number } }[];
}

export function walkSweeps(walk: () => Walk): void {
  it('follows a sweep to its winner, with all jobs in one plot, and deletes it', { timeout: 3 * SLOW_MS }, async () => {
    const { api, fileId, open } = walk();
    const base = {
      model: 'tiny',
      training_file: fileId,
      validation_file: fileId,
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 1 } } },
    };
    const search = { strategy: 'grid', parameters: { 'hyperparameters.learning_rate': [1e-6, 1e-2] } };
    const { id } = await api.post<Sweep>('/fine_tuning/sweeps', { name: '<b>rates</b>', base, search });
    const page = await open('sweeps');
    await page.getByRole('link', { name: '<b>rates</b>' }).click();
    await page.getByRole('region', { name: 'State' }).getByText('2 of 2 jobs have ended').waitFor();
    const winner = page.getByRole('row', { name: /winner/ });
    await winner.waitFor();
    const sweep = await api.get<Sweep>(`/fine_tuning/sweeps/${id}`);
    const { metric } = sweep.trials[sweep.winner.index]!;
    const cells = await winner.getByRole('cell').allTextContents();
    expect([cells[0], cells[1], Number(cells.at(-1)!.split(' ')[0])]).toEqual([
      '0.01',
      'succeeded',
      Number(metric.value.toPrecision(metric.value < 1 ? 3 : 4)),
    ]);
    expect(await winner.getByRole('link').getAttribute('href')).toBe(`#/jobs/${sweep.winner.job_id}`);
    const plot = new RegExp(
      `^Validation loss\\. learning_rate 0\\.000001: .* at step ${metric.step}\\. learning_rate 0\\.01: .* at step ${metric.step}\\.$`,
    );
    await page.getByRole('img', { name: plot }).waitFor();
    expect(await barriersOn(page)).toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await barriersOn(page, ['color-contrast'])).toEqual([]);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete the sweep' }).click();
    await page.getByRole('heading', { name: 'No sweeps yet' }).waitFor();
    expect(await barriersOn(page)).toEqual([]);
    const left = (await api.jobs()).map((job) => job.id);
    expect(sweep.trials.map(({ job_id: job }) => left.includes(job))).toEqual([false, true]); // the winner is kept unless it is said otherwise
  });

  it('creates a sweep of the job in the form, says how many jobs it makes and which field is refused, and names the winner', {
    timeout: 3 * SLOW_MS,
  }, async () => {
    const { api, fileId, open } = walk();
    const page = await open(`new?file=${fileId}`);
    await page.getByRole('textbox', { name: 'Epochs' }).fill('1');
    await page.getByRole('button', { name: 'Make a sweep of this' }).click();
    await page.getByRole('heading', { name: 'New sweep' }).waitFor();
    expect(await page.getByRole('textbox', { name: 'Epochs' }).inputValue()).toBe('1');
    const jobs = page.getByRole('complementary').getByRole('status');
    expect(await jobs.textContent()).toContain('None yet');

    const first = page.getByRole('group', { name: 'Field 1' });
    await first.getByRole('textbox', { name: 'Values' }).fill('1e-6, 1e-2');
    await page.getByRole('button', { name: 'Add a field' }).press('Enter');
    const second = page.getByRole('group', { name: 'Field 2' });
    await expect.poll(() => page.evaluate('document.activeElement.id')).toBe('varied-1'); // what is added has the focus
    expect(await page.evaluate('document.activeElement.value')).toBe('tuning.r');
    await second.getByRole('textbox', { name: 'Values' }).fill('2, 4, 1000');
    await jobs.getByText('6 jobs').waitFor();
    await jobs.getByText('2 × 3 values').waitFor();
    await page.getByRole('textbox', { name: 'Name of the sweep' }).fill('walked');

    const create = page.getByRole('button', { name: /^Create the sweep of/ });
    await create.click();
    await page.getByRole('alert').getByText('validation file').waitFor();
    expect(await described(page.getByLabel('Validation file', { exact: true }))).toContain('validation file');
    await page.getByLabel('Validation file', { exact: true }).selectOption(fileId);
    await create.click();
    await page.getByRole('alert').getByText('the largest is 256').waitFor();
    const ranks = second.getByRole('textbox', { name: 'Values' });
    expect(await described(ranks)).toContain('the largest is 256');
    expect(await barriersOn(page)).toEqual([]);
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await barriersOn(page, ['color-contrast'])).toEqual([]);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await page.evaluate('document.documentElement.scrollWidth <= innerWidth')).toBe(true);

    await ranks.fill('2');
    await page.getByRole('button', { name: 'graft', exact: true }).click();
    const code = await page.getByRole('region', { name: 'the sweep in graft' }).textContent();
    expect(code).toContain('graft sweep create walked -f job.json');
    await create.click();
    await page.getByRole('heading', { name: 'walked' }).waitFor();
    await page.getByRole('region', { name: 'State' }).getByText('2 of 2 jobs have ended').waitFor();
    await page.getByRole('row', { name: /winner/ }).waitFor();
    const id = new URL(page.url()).hash.split('/')[2]!;
    const { trials, winner } = await api.get<Sweep>(`/fine_tuning/sweeps/${id}`);
    expect(trials.map(({ values }) => values)).toEqual([1e-6, 1e-2].map((rate) => ({ 'hyperparameters.learning_rate': rate, 'tuning.r': 2 })));
    expect(winner.index).toBe(1);
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByRole('checkbox', { name: /^Keep the best/ }).uncheck();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete the sweep' }).click();
    await page.getByRole('heading', { name: 'No sweeps yet' }).waitFor();
  });

  it('cancels a sweep', { timeout: SLOW_MS }, async () => {
    const { api, fileId, open } = walk();
    const base = {
      model: 'tiny',
      training_file: fileId,
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 50, batch_size: 1 } } },
    };
    const search = { strategy: 'grid', parameters: { 'tuning.r': [4, 8] } };
    const { id } = await api.post<Sweep>('/fine_tuning/sweeps', { base, search, metric: 'train_loss' });
    const page = await open(`sweeps/${id}`);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('region', { name: 'State' }).getByText('cancelled', { exact: true }).waitFor();
    expect((await page.getByRole('row').allTextContents()).slice(1).every((text) => text.includes('cancelled'))).toBe(true);
  });
}

/** What is said of a field: its hint, or what is wrong with it. */
async function described(field: Locator): Promise<string | null> {
  return field
    .page()
    .locator(`#${await field.getAttribute('aria-describedby')}`)
    .textContent();
}
