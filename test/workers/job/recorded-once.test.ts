import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../../src/database/client.ts';
import { openFileStore } from '../../../src/files/store.ts';
import { openJobRecord } from '../../../src/jobs/record-store.ts';
import { openSetbackStore } from '../../../src/jobs/setback-store.ts';
import { openJobStore } from '../../../src/jobs/store.ts';
import { openReportStore } from '../../../src/reports/store.ts';
import { openCuttingProxy } from '../../database/cutting-proxy.ts';
import { superviseJobs } from './supervised-jobs.ts';

/** Cut connections, spread over the messages of a run; `GRAFT_CUTS` asks for more. */
const CUTS = Number(process.env['GRAFT_CUTS'] ?? 3);
/** A run sends more: the last ones are of the heartbeat alone. */
const MESSAGES = 90;
const STEPS = [1, 2, 3, 4];

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let undisturbed: Buffer;
beforeAll(async () => {
  jobs = await superviseJobs();
  undisturbed = await jobs.undisturbed();
});
afterAll(() => jobs?.close());

const recordOf = async (id: string) => {
  const { jobRecord } = jobs.service.services;
  const { data: events } = await jobRecord.events('graft', id, { limit: 1000 });
  const { data: checkpoints } = await jobRecord.checkpoints('graft', id, { limit: 1000 });
  return { events, checkpoints, steps: (await jobRecord.metrics(id)).map(({ step }) => step) };
};

async function expectRecordedOnce(id: string): Promise<void> {
  const { events, checkpoints, steps } = await recordOf(id);
  expect(steps).toEqual(STEPS);
  const shown = events.filter(({ type }) => type === 'metrics').map(({ data }) => (data as { step: number }).step);
  expect(shown.sort()).toEqual(STEPS);
  const messages = events.filter(({ type }) => type === 'message').map(({ message }) => message);
  for (const name of checkpoints.map((checkpoint) => checkpoint.name))
    expect(messages.filter((message) => message.startsWith('Checkpoint created') && message.endsWith(name))).toHaveLength(1);
  for (const once of ['Files validated', 'Fine-tuning job started', 'The delivered files', 'New fine-tuned model', 'The job has successfully'])
    expect(messages.filter((message) => message.startsWith(once) && !message.includes('again'))).toHaveLength(1);
  const { result_files } = (await jobs.get(id)).json();
  const csv = (await jobs.service.inject({ url: `/v1/files/${result_files[0]}/content` })).body.trim().split('\n');
  expect(csv.slice(1).map((line) => Number(line.split(',')[0]))).toEqual(STEPS);
}

describe('a job', () => {
  it.each(
    Array.from({ length: CUTS }, (_, index) => ({
      message: 1 + Math.floor(((index + 0.5) * MESSAGES) / CUTS),
      when: index % 2 === 0 ? ('after' as const) : ('before' as const),
    })),
  )('whose connection is cut at message $message, $when the server gets it › records everything once and delivers the same bytes', async (cut) => {
    const proxy = await openCuttingProxy(jobs.service.services.urls.database);
    const database = openDatabase(proxy.url);
    const services = {
      jobs: openJobStore(database),
      jobRecord: openJobRecord(database),
      setbacks: openSetbackStore(database),
      files: openFileStore(database),
      reports: openReportStore(database),
    };
    const id = await jobs.makeJob();
    proxy.cutAt(cut.message, cut.when);
    for (let tries = 0; tries < 3; tries++) {
      await jobs.supervise(id, { services }).catch(() => {}); // before the job is taken, a cut leaves it to the next worker
      await jobs.mayResumeNow(id);
      if ((await jobs.get(id)).json().status === 'succeeded') break;
    }
    await database.$disconnect();
    await proxy.close();
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(id)).toEqual(undisturbed);
    await expectRecordedOnce(id);
  });

  it('that is cancelled while it trains › records nothing after the answer', async () => {
    const id = await jobs.makeJob();
    let answered: Awaited<ReturnType<typeof recordOf>> | null = null;
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *train(options) {
        for await (const answer of training.train(options)) {
          if (answer.answer === 'step' && answer.report.step === 2) {
            await jobs.service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
            answered = await recordOf(id);
          }
          yield answer;
        }
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect(answered!.events[0]!.message).toBe('The job has been cancelled');
    expect(await recordOf(id)).toEqual(answered);
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'cancelled', fine_tuned_model: null, result_files: [] });
  });
});
