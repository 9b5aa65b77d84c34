import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PROJECT } from '../../../src/ids.ts';
import { PATIENCE, type Patience } from '../../../workers/process/patience.ts';
import { sameAnswer } from '../../journey/dataset.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let undisturbed: Buffer;
beforeAll(async () => {
  jobs = await superviseJobs();
  undisturbed = await jobs.undisturbed();
});
afterAll(() => jobs?.close());

/** Processes of which the first `count` are stopped, as by `kill -STOP`, after their second step, or once they have read the files. */
function stopping(count: number, patience: Partial<Patience>, moment: 'step' | 'receipt' = 'step') {
  let stopped = 0;
  return jobs.takeProcessWith(
    (training) => ({
      async *train(options) {
        let reached = 0;
        for await (const answer of training.train(options)) {
          yield answer;
          if (answer.answer === moment && ++reached === (moment === 'step' ? 2 : 1) && ++stopped <= count) process.kill(training.pid!, 'SIGSTOP');
        }
      },
    }),
    { patience: { ...PATIENCE, ...patience } },
  );
}

const messages = async (id: string) =>
  (await jobs.service.services.jobRecord.events(DEFAULT_PROJECT, id, { limit: 100 })).data.map(({ message }) => message);

describe('a job whose training process hangs', () => {
  it('gets a new process, which resumes from the checkpoint and gives the same adapter', async () => {
    const id = await jobs.makeJob();
    await jobs.supervise(id, { takeProcess: stopping(1, { stepMs: 5_000, stoppedMs: 5_000 }) });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(id)).toEqual(undisturbed);
    expect(await messages(id)).toEqual(expect.arrayContaining([expect.stringMatching(/no progress for \d+ s while /)]));
  });

  it('because a signal stopped it while it prepared › is not waited for as long as for a large model', async () => {
    const id = await jobs.makeJob();
    await jobs.supervise(id, { takeProcess: stopping(1, { stoppedMs: 1_000 }, 'receipt') });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(id)).toEqual(undisturbed);
    expect(await messages(id)).toEqual(expect.arrayContaining([expect.stringMatching(/no progress for 1 s while preparing/)]));
  });

  it('again and again without progress › fails with that reason', async () => {
    // Enough steps that the signal comes before the last one, on a busy machine too.
    const training_file = await jobs.service.upload(sameAnswer(1_000));
    const id = await jobs.makeJob({ training_file, hyperparameters: { n_epochs: 1, batch_size: 1, learning_rate: 0.01 } });
    await jobs.supervise(id, { takeProcess: stopping(9, { stepMs: 500, stoppedMs: 5_000 }) });
    expect((await jobs.get(id)).json()).toMatchObject({
      status: 'failed',
      error: { code: 'training_process_hung', message: expect.stringMatching(/no progress .* 3 times/) },
    });
  });
});
