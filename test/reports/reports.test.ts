import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepFiles } from '../../src/files/sweep.ts';
import type { TokenReceipt } from '../../src/formats/token-receipt.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let jobId: string;
beforeAll(async () => {
  service = await runService();
  const training_file = await service.upload();
  jobId = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json().id;
});
afterAll(() => service.close());

const get = (kind: string, id = jobId) => service.inject({ url: `/v1/fine_tuning/jobs/${id}/${kind}` });

const receipt: TokenReceipt = {
  object: 'fine_tuning.job.receipt',
  max_length: 8,
  truncation: 'drop',
  template: null,
  training: {
    sha256: 'ab',
    lines: 1,
    examples: 1,
    tokens: 2,
    supervised_tokens: 1,
    longest: { tokens: 2, line: 1 },
    too_long: { examples: 0, truncated: 0, dropped: 0, lines: [] },
    nothing_to_learn: { examples: 0, after_truncation: 0, lines: [] },
    duplicates: 0,
    samples: [{ line: 1, tokens: 2, supervised_tokens: 1, shown_tokens: 2, spans: [{ text: 'a', supervised: false }] }],
  },
  validation: null,
  overlap: null,
};

describe('a report', () => {
  it.each([
    ['receipt', 'receipt'],
    ['proof', 'proof'],
    ['lineage', 'lineage'],
    ['resumes', 'resume certificate'],
  ])('of kind %s › is refused before it exists, saying when it will be available', async (kind, name) => {
    const refused = refusal(await get(kind));
    expect(refused).toMatchObject({ status: 404, code: 'report_not_found' });
    expect(refused.message).toMatch(new RegExp(`is validating_files and has no ${name}\\. It is available once`));
    expect(refusal(await get(kind, 'ftjob-none'))).toMatchObject({ status: 404, code: 'fine_tune_not_found' });
  });

  it('is served as the newest attempt wrote it, and no older attempt replaces it', async () => {
    const { jobs, reports } = service.services;
    expect(await reports.put({ id: jobId, attempt: 0 }, 'receipt', receipt)).toBe(false); // nobody has the job
    const { attempt } = (await jobs.claim(jobId, 'worker-test'))!;
    expect(await reports.put({ id: jobId, attempt }, 'receipt', receipt)).toBe(true);
    expect(await reports.put({ id: jobId, attempt }, 'receipt', { ...receipt, max_length: 9 })).toBe(true);
    expect(await reports.put({ id: jobId, attempt: attempt - 1 }, 'receipt', receipt)).toBe(false);
    expect((await get('receipt')).json()).toEqual({ ...receipt, max_length: 9 });
  });

  it('of a job that ended too early › is refused, saying so', async () => {
    await service.post(`/v1/fine_tuning/jobs/${jobId}/cancel`, {});
    expect(refusal(await get('proof')).message).toMatch(/is cancelled and has no proof.*ended before that/);
    expect((await get('receipt')).statusCode).toBe(200);
    expect(await service.services.reports.put({ id: jobId, attempt: 1 }, 'receipt', receipt)).toBe(false);
  });

  it('on a file that is deleted › no longer quotes it: at once, also if a job still reads the file, and for good once none does', async () => {
    const { jobs, reports, database } = service.services;
    const [training_file, validation_file] = [await service.upload(), await service.upload()];
    const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, validation_file })).json();
    const { attempt } = (await jobs.claim(id, 'worker-test'))!;
    const quoting = { ...receipt, validation: receipt.training, overlap: 0 };
    await reports.put({ id, attempt }, 'receipt', quoting);
    const remove = (file: string) => service.inject({ method: 'DELETE', url: `/v1/files/${file}` });
    await remove(training_file);
    const withoutText = { ...quoting, training: { ...receipt.training, samples: [] } };
    expect((await get('receipt', id)).json()).toEqual(withoutText);
    await reports.put({ id, attempt }, 'receipt', quoting); // by the job's next attempt
    expect((await get('receipt', id)).json()).toEqual(withoutText);
    await service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
    await remove(validation_file);
    await sweepFiles(service.services);
    const stored = await database.jobReport.findFirstOrThrow({ where: { jobId: id, kind: 'receipt' } });
    expect(stored.content).toMatchObject({ training: { samples: [], tokens: 2 }, validation: { samples: [], tokens: 2 } });
  });

  it('is documented at /docs', async () => {
    const { paths } = (await service.inject({ url: '/docs/json' })).json();
    const schemas = ['receipt', 'proof', 'lineage', 'resumes'].map(
      (kind) => paths[`/v1/fine_tuning/jobs/{job_id}/${kind}`].get.responses['200'].content['application/json'].schema.$ref,
    );
    expect(schemas).toEqual(['TokenReceipt', 'AdapterProof', 'Lineage', 'Resumes'].map((name) => `#/components/schemas/${name}`));
  });
});
