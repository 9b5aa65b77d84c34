import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { refusal } from '../../running-service.ts';
import { superviseJobs, WEIGHTS } from './supervised-jobs.ts';

let jobs: Awaited<ReturnType<typeof superviseJobs>>;
let undisturbed: Buffer;
beforeAll(async () => {
  jobs = await superviseJobs();
  undisturbed = await jobs.undisturbed();
});
afterAll(() => jobs?.close());

describe('a supervised job', () => {
  it('whose weights come back from storage with one bit flipped › fails, names the file and leaves nothing behind', async () => {
    const id = await jobs.makeJob();
    const flipped = jobs.storeWithWeights((content) => {
      content[content.length - 1]! ^= 1;
      return content;
    });
    await jobs.supervise(id, { services: { objectStore: flipped } });
    const job = (await jobs.get(id)).json();
    expect(job).toMatchObject({ status: 'failed', fine_tuned_model: null, result_files: [] });
    expect(job.error).toEqual({
      code: 'proof_failed',
      param: null,
      message: expect.stringMatching(/adapter_model\.safetensors came back with different content \(sha256/),
    });
    expect((await jobs.get(id, '/proof')).json()).toMatchObject({ passed: false, loss: null, problems: [expect.stringContaining(WEIGHTS)] });
    expect(await jobs.stored(id)).toEqual([]);
    expect(refusal(await jobs.get(id, '/adapter'))).toMatchObject({ status: 404, code: 'adapter_not_found' });
    const models = (await jobs.service.client.models.list()).data;
    expect(models.filter((model) => model.id.endsWith(id.slice(-8)))).toEqual([]);
  });

  it('whose weights come back truncated › fails and names both sizes', async () => {
    const id = await jobs.makeJob();
    await jobs.supervise(id, { services: { objectStore: jobs.storeWithWeights((content) => content.subarray(0, 100)) } });
    const { status, error } = (await jobs.get(id)).json();
    expect(status).toBe('failed');
    expect(error.message).toMatch(/adapter_model\.safetensors came back with 100 bytes; \d{4,} were stored/);
  });

  it('whose process dies during its proof › resumes from the last checkpoint and delivers the same adapter', async () => {
    const id = await jobs.makeJob();
    let deaths = 0;
    const takeProcess = jobs.takeProcessWith((training) => ({
      async verify(dir) {
        if (deaths++ === 0) await training.kill();
        return training.verify(dir);
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(deaths).toBe(2);
    expect(await jobs.weights(id)).toEqual(undisturbed);
    expect((await jobs.get(id, '/proof')).json()).toMatchObject({ passed: true, problems: [] });
  });

  it('whose worker is told to stop when its proof is about to begin › goes back to the queue, and the next worker delivers the same adapter', async () => {
    const id = await jobs.makeJob();
    const stopping = new AbortController();
    const takeProcess = jobs.takeProcessWith((training) => ({
      verify(dir) {
        stopping.abort();
        return training.verify(dir);
      },
    }));
    await jobs.supervise(id, { takeProcess, stopping: stopping.signal });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'queued', fine_tuned_model: null, result_files: [] });

    await jobs.supervise(id);
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(id)).toEqual(undisturbed);
  });

  it('whose worker is told to stop after its proof › succeeds', async () => {
    const id = await jobs.makeJob();
    const stopping = new AbortController();
    const takeProcess = jobs.takeProcessWith((training) => ({
      async verify(dir) {
        const answer = await training.verify(dir);
        stopping.abort();
        return answer;
      },
    }));
    await jobs.supervise(id, { takeProcess, stopping: stopping.signal });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'succeeded', error: null });
    expect(await jobs.weights(id)).toEqual(undisturbed);
  });

  it('that is cancelled during its proof › leaves no files behind', async () => {
    const id = await jobs.makeJob();
    const takeProcess = jobs.takeProcessWith((training) => ({
      async verify(dir) {
        await jobs.service.post(`/v1/fine_tuning/jobs/${id}/cancel`, {});
        return training.verify(dir);
      },
    }));
    await jobs.supervise(id, { takeProcess });
    expect((await jobs.get(id)).json()).toMatchObject({ status: 'cancelled', fine_tuned_model: null, result_files: [] });
    expect(await jobs.stored(id)).toEqual([]);
  });
});
