import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explainFullProjects } from '../../src/jobs/full-projects.ts';
import { API_KEY, type RunningService, runService } from '../running-service.ts';

let service: RunningService;
beforeAll(async () => {
  service = await runService();
});
afterAll(() => service.close());

const LINE = '{"prompt":"a","completion":"b"}\n';
const WORKER = 'worker-a';

/** A project of its own with these limits. */
async function limited(limits: object) {
  const { id } = (await service.post('/v1/organization/projects', { name: 'Limited', limits })).json<{ id: string }>();
  const client = new OpenAI({ baseURL: `${service.address}/v1`, apiKey: API_KEY, project: id, maxRetries: 0 });
  return {
    id,
    client,
    upload: (content = LINE) => client.files.create({ file: new File([content], 'a.jsonl'), purpose: 'fine-tune' }),
    job: async (training_file: string) => (await client.fineTuning.jobs.create({ model: 'graft-tiny', training_file })).id,
    limit: (changed: object) => service.post(`/v1/organization/projects/${id}`, { limits: changed }),
  };
}

const overQuota = (message: string) => ({
  status: 429,
  code: 'insufficient_quota',
  type: 'insufficient_quota',
  message: expect.stringContaining(message),
});

describe('a quota of files', () => {
  it('refuses one too many, until another is deleted, and never lets two requests at once share what is left for one', async () => {
    const { client, upload } = await limited({ max_files: 2 });
    const first = await upload();
    const both = await Promise.allSettled([upload(), upload(), upload()]);
    expect(both.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    await expect(upload()).rejects.toMatchObject(overQuota('The project has 2 files, and its limit is 2. Delete files that are no longer needed'));
    await client.files.delete(first.id);
    await upload();
  });

  it('leaves nothing of a refused file in the object store', async () => {
    const { upload } = await limited({ max_bytes: LINE.length });
    const stored = async () => (await service.services.objectStore.list('files/')).length;
    await upload();
    const before = await stored();
    await expect(upload()).rejects.toMatchObject(overQuota('more would exceed'));
    expect(await stored()).toBe(before);
  });

  it('counts bytes, also of an upload in parts before its first byte', async () => {
    const { client, upload } = await limited({ max_bytes: 3 * LINE.length });
    await upload(LINE.repeat(2));
    await expect(upload(LINE.repeat(2))).rejects.toMatchObject(overQuota(`more would exceed its limit of ${3 * LINE.length}`));
    const inParts = { filename: 'a.jsonl', purpose: 'fine-tune', mime_type: 'application/jsonl' } as const;
    await expect(client.uploads.create({ ...inParts, bytes: LINE.length + 1 })).rejects.toMatchObject(overQuota('exceed'));
    const { id } = await client.uploads.create({ ...inParts, bytes: LINE.length });
    const part = await client.uploads.parts.create(id, { data: new File([LINE], 'part') });
    await upload(LINE);
    await expect(client.uploads.complete(id, { part_ids: [part.id] })).rejects.toMatchObject(overQuota('exceed'));
  });
});

describe('a quota of jobs', () => {
  it('refuses one that would wait, until another has been begun or cancelled', async () => {
    const { client, upload, job } = await limited({ max_queued_jobs: 1 });
    const { id: file } = await upload();
    const first = await job(file);
    await expect(job(file)).rejects.toMatchObject(overQuota('The project has 1 waiting or paused job, and its limit is 1'));
    await client.fineTuning.jobs.pause(first);
    await expect(job(file)).rejects.toMatchObject(overQuota('its limit is 1'));
    await client.fineTuning.jobs.cancel(first);
    const second = await job(file);
    const { attempt } = (await service.services.jobs.claim(second, WORKER))!;
    const third = await job(file);
    await service.services.jobs.move(second, 'fail', { attempt });
    await expect(client.fineTuning.jobs.resume(second)).rejects.toMatchObject(overQuota('its limit is 1'));
    await client.fineTuning.jobs.cancel(third);
    expect((await client.fineTuning.jobs.resume(second)).status).toBe('validating_files');
  });

  it('that run makes the others wait and say why, while other projects go on', async () => {
    const { services } = service;
    const [full, free] = [await limited({ max_running_jobs: 1 }), await limited({})];
    const file = (await full.upload()).id;
    const [first, second, third] = [await full.job(file), await full.job(file), await full.job(file)];
    const other = await free.job((await free.upload()).id);
    const taken = await Promise.all([first, second, third].map((id) => services.jobs.claim(id, WORKER)));
    const [job] = taken.filter((claimed) => claimed !== null);
    expect(taken.filter((claimed) => claimed !== null)).toHaveLength(1);
    const waiting = [first, second, third].filter((id) => id !== job!.id);

    const inTurn: string[] = [];
    for (let next = await services.jobs.findNext({ models: [], ids: [] }); next; next = await services.jobs.findNext({ models: [], ids: inTurn }))
      inTurn.push(next.id);
    const due = (await services.jobs.findDue(1000)).map(({ id }) => id);
    for (const offered of [inTurn, due]) expect(offered.filter((id) => [other, ...waiting].includes(id))).toEqual([other]);
    await explainFullProjects(services);
    await explainFullProjects(services);
    const retrieve = (id: string) => full.client.fineTuning.jobs.retrieve(id) as unknown as Promise<{ waiting_for: string; status: string }>;
    for (const id of waiting) {
      expect(await retrieve(id)).toMatchObject({ status: 'validating_files', waiting_for: 'quota' });
      const messages = (await full.client.fineTuning.jobs.listEvents(id)).data.map(({ message }) => message);
      expect(messages.filter((message) => message.includes('workers have 1 job of it, and its limit is 1'))).toHaveLength(1);
    }

    await services.jobs.move(job!.id, 'fail', { attempt: job!.attempt });
    await explainFullProjects(services);
    expect(await retrieve(waiting[0]!)).toMatchObject({ waiting_for: null });
    expect(await services.jobs.claim(waiting[0]!, WORKER)).not.toBeNull();
    expect(await services.jobs.claim(waiting[1]!, WORKER)).toBeNull();
  });

  it('of tokens a day counts every recorded step once, lets jobs run and keeps others from beginning', async () => {
    const { services } = service;
    const { client, upload, job, limit } = await limited({ max_tokens_per_day: 100 });
    const { id: file } = await upload();
    const [running, waiting] = [await job(file), await job(file)];
    const attempt = (await services.jobs.claim(running, WORKER))!;
    await services.jobs.move(running, 'read', attempt);
    await services.jobs.move(running, 'start', attempt);
    const record = (steps: number[]) =>
      services.jobRecord.addMetrics(
        attempt,
        steps.map((step) => ({ step, metrics: { tokens: 40 } })),
      );
    await record([1, 2]);
    await record([2]);
    const third = await job(file);
    await record([2, 3]);
    await expect(job(file)).rejects.toMatchObject(
      overQuota("The project's jobs were trained on 120 tokens today, and its limit is 100 a day. Wait until 00:00 UTC"),
    );
    expect(await services.jobs.claim(waiting, WORKER)).toBeNull();
    expect(await services.jobs.heartbeat(running, attempt.attempt)).not.toBeNull();
    await client.fineTuning.jobs.cancel(third);
    await services.database.job.delete({ where: { id: running } });
    await expect(job(file)).rejects.toMatchObject(overQuota('120 tokens'));
    await limit({ max_tokens_per_day: null });
    await job(file);
    expect(await services.jobs.claim(waiting, WORKER)).not.toBeNull();
  });
});
