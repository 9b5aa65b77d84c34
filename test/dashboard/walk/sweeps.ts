import { expect, it } from 'vitest';
import { barriersOn } from '../browser.ts';
import { SLOW_MS, type Walk } from './walk.ts';

interface Sweep {
  id: string;
  winner: { index: number; job_id: string; value: number };
  trials: { job_id: string; metric: { value: number; step: number } }[];
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
