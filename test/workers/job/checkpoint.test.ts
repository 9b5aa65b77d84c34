import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Resumes } from '../../../src/formats/resumes.ts';
import { superviseJobs } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let undisturbed: Buffer;
beforeAll(async () => {
  jobs = await superviseJobs();
  undisturbed = await jobs.undisturbed();
});
afterEach(({ task }) => {
  const errors = jobs.errors.splice(0);
  if (task.result?.state === 'fail') console.error(errors.join(''));
});
afterAll(() => jobs?.close());

const TENSORS = 'trainer_state.safetensors';

/** A job of four steps with a checkpoint after each, whose worker was lost in the last step. */
async function interrupted(): Promise<string> {
  const id = await jobs.makeJob({ hyperparameters: { n_epochs: 2, batch_size: 4, learning_rate: 0.01, save_steps: 1 } });
  const takeProcess = jobs.takeProcessWith((training) => ({
    async *train(options) {
      for await (const answer of training.train(options)) {
        if (answer.answer === 'step' && answer.report.step === 4) throw new Error('the worker is lost');
        yield answer;
      }
    },
  }));
  await jobs.supervise(id, { takeProcess });
  expect(await checkpointSteps(id)).toEqual([3, 2, 1]);
  await jobs.mayResumeNow(id);
  return id;
}

const checkpointSteps = async (id: string) => (await jobs.get(id, '/checkpoints')).json().data.map((one: { step_number: number }) => one.step_number);

/** Changes a stored file of a checkpoint. @param change null deletes it */
async function damage(id: string, step: number, file: string, change: ((content: Buffer) => Buffer) | null): Promise<void> {
  const { objectStore, jobRecord } = jobs.service.services;
  const key = `${await jobs.checkpointFolder(id, step)}${file}`;
  if (change === null) await objectStore.delete(key);
  else await objectStore.put(key, change(await buffer(await objectStore.get(key))));
  expect((await jobRecord.newestCheckpoint(id))!.problem).toBeNull();
}

const flipped = (content: Buffer) => {
  content[content.length - 1]! ^= 1;
  return content;
};
const cut = (content: Buffer) => content.subarray(0, 100);

/** Newest first, without those about the data. */
const warnings = async (id: string): Promise<string[]> => {
  const { data } = (await jobs.get(id, '/events?limit=100')).json<{ data: { level: string; message: string }[] }>();
  return data.flatMap(({ level, message }) => (level === 'warn' && !message.startsWith('The training file') ? [message] : []));
};

const resumes = async (id: string) => (await jobs.get(id, '/resumes')).json<Resumes>().data;

async function expectSameAdapter(id: string): Promise<void> {
  expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
  expect(await jobs.weights(id)).toEqual(undisturbed);
}

describe('a job that resumes', () => {
  it('from a checkpoint that is whole › certifies what it loaded, and that its loss is what it was', async () => {
    const id = await interrupted();
    await jobs.supervise(id);
    await expectSameAdapter(id);
    const [resume, ...others] = await resumes(id);
    expect(others).toEqual([]);
    expect(resume).toMatchObject({ attempt: 2, stopped_after_step: 3, checkpoint: { step: 3 }, first_step: { step: 4, recorded: null } });
    expect(resume!.checkpoint!.files.map(({ name }) => name)).toEqual(['trainer_state.json', TENSORS]);
    const { recorded, reloaded, difference } = resume!.checkpoint!.loss!;
    expect(recorded).toBeGreaterThan(0);
    expect({ reloaded, difference }).toEqual({ reloaded: recorded, difference: 0 });
    expect((await jobs.get(id, '/proof')).json()).toMatchObject({ passed: true, resumes: [{ step: 3, recorded, reloaded: recorded }] });
  });

  it('and finds one bit of its newest checkpoint flipped › resumes from the one before, says so, and repeats the recorded losses', async () => {
    const id = await interrupted();
    await damage(id, 3, TENSORS, flipped);
    await jobs.supervise(id);
    await expectSameAdapter(id);
    const message = expect.stringMatching(
      /^The checkpoint at step 3 \(ft:.*ckpt-step-3\) cannot be used: trainer_state\.safetensors came back with different content .*The job resumes from the checkpoint at step 2$/,
    );
    expect(await warnings(id)).toEqual([message, expect.stringMatching(/internal error/)]);
    const [resume] = await resumes(id);
    expect(resume).toMatchObject({ stopped_after_step: 3, checkpoint: { step: 2 }, first_step: { step: 3 } });
    expect(resume!.first_step!.train_loss).toBe(resume!.first_step!.recorded);
    expect(await checkpointSteps(id)).toEqual([4, 3, 2, 1]);
  });

  it('and finds damage in what its newest checkpoint delivers › makes that checkpoint again, so that it can be downloaded', async () => {
    const id = await interrupted();
    await damage(id, 3, 'adapter/adapter_model.safetensors', flipped);
    await jobs.supervise(id);
    await expectSameAdapter(id);
    expect(await warnings(id)).toContainEqual(
      expect.stringMatching(/at step 3 .* adapter\/adapter_model\.safetensors came back with different content .* from the checkpoint at step 2$/),
    );
    expect((await jobs.get(id, '/checkpoints/3/adapter')).statusCode).toBe(200);
    expect((await jobs.service.services.jobRecord.newestCheckpoint(id, { before: 4 }))!.problem).toBeNull();
  });

  it('and finds a newest checkpoint that is cut, one without a file, and a third without its hashes and unreadable › begins again', async () => {
    const id = await interrupted();
    await damage(id, 3, TENSORS, cut);
    await damage(id, 2, 'trainer_state.json', null);
    await damage(id, 1, TENSORS, cut);
    await jobs.service.services.database.$executeRaw`UPDATE checkpoints SET files = NULL WHERE job_id = ${id} AND step = 1`;
    await jobs.supervise(id);
    await expectSameAdapter(id);
    const said = await warnings(id);
    expect(said).toEqual([
      expect.stringMatching(/at step 1 .* cannot be used: trainer_state\.safetensors: it is cut off.*The job starts from the beginning$/),
      expect.stringMatching(/at step 2 .* trainer_state\.json is no longer in storage\. The job resumes from the checkpoint at step 1$/),
      expect.stringMatching(/at step 3 .* came back with 100 bytes; \d+ were stored\. The job resumes from the checkpoint at step 2$/),
      expect.stringMatching(/internal error/),
    ]);
    expect((await resumes(id)).at(-1)).toMatchObject({ checkpoint: null, stopped_after_step: 3, first_step: { step: 1 } });
  });

  it('again and again after a newer checkpoint each time › is not given up, as it would be without one', async () => {
    const id = await jobs.makeJob({ hyperparameters: { n_epochs: 4, batch_size: 4, learning_rate: 0.01, save_steps: 1 } });
    let deaths = 0;
    const takeProcess = jobs.takeProcessWith((training) => ({
      async *train(options) {
        for await (const answer of training.train(options)) {
          yield answer;
          if (answer.answer === 'checkpoint' && deaths < 5) {
            deaths += 1;
            await training.kill();
          }
        }
      },
    }));
    await jobs.superviseToEnd(id, { takeProcess });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(deaths).toBe(5);
    expect((await warnings(id)).at(-1)).toMatch(/SIGKILL.*It is started again from the checkpoint at step \d$/);
  });
});
