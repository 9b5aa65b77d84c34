import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sweepFiles } from '../../src/files/sweep.ts';
import { DEFAULT_PROJECT, newFileId } from '../../src/ids.ts';
import type { MoveName } from '../../src/jobs/state.ts';
import { keys } from '../../src/object-store/keys.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
});
afterAll(() => service.close());

const create = async (): Promise<string> => (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file })).json().id;
const act = (id: string, action: string) => service.inject({ method: 'POST', url: `/v1/fine_tuning/jobs/${id}/${action}` });
const get = (id: string, path = '') => service.inject({ url: `/v1/fine_tuning/jobs/${id}${path}` });
const newestEvent = async (id: string): Promise<string> => (await get(id, '/events')).json().data[0].message;

/** A job that a worker has brought this far. */
async function held(...moves: MoveName[]) {
  const { jobs } = service.services;
  const id = await create();
  const { attempt } = (await jobs.claim(id, 'worker-a'))!;
  const resolved = { n_epochs: 1 } as never;
  for (const move of moves) await jobs.move(id, move, { attempt, patch: move === 'read' ? { resolved } : {} });
  return { id, attempt };
}

describe('pause', () => {
  it('of a job that waits › takes it from the queue until it is resumed', async () => {
    const id = await create();
    expect((await act(id, 'pause')).json()).toMatchObject({ id, object: 'fine_tuning.job', status: 'paused', finished_at: null });
    expect(await newestEvent(id)).toBe('The job has been paused');
    expect(await service.services.jobs.claim(id, 'worker-a')).toBeNull();
    expect((await act(id, 'resume')).json()).toMatchObject({ status: 'validating_files' });
    expect(await service.services.jobs.claim(id, 'worker-a')).not.toBeNull();
  });

  it('of a running job › leaves it to its worker until that has written its checkpoint and let go', async () => {
    const { jobs, jobRecord } = service.services;
    const { id, attempt } = await held('read', 'start');
    expect((await act(id, 'pause')).json()).toMatchObject({ status: 'paused', estimated_finish: null });
    expect(await newestEvent(id)).toMatch(/its worker stops after the current step/);
    expect(await jobs.heartbeat(id, attempt)).toMatchObject({ status: 'paused' });
    expect(await jobs.move(id, 'succeed', { attempt })).toBeNull();
    expect((await act(id, 'resume')).json()).toMatchObject({ status: 'queued' });
    expect(await jobs.claim(id, 'worker-b')).toBeNull();
    expect(await jobRecord.addMetrics({ id, attempt }, [{ step: 1, metrics: { train_loss: 1 } }])).toBe(true);
    await jobs.release(id, attempt);
    expect(await jobs.claim(id, 'worker-b')).toMatchObject({ attempt: attempt + 1 });
  });

  it('asked for twice, or of a job that waits to be resumed › answers with the job', async () => {
    const id = await create();
    for (const status of ['paused', 'paused']) expect((await act(id, 'pause')).json()).toMatchObject({ status });
    for (const status of ['validating_files', 'validating_files']) expect((await act(id, 'resume')).json()).toMatchObject({ status });
    expect((await get(id, '/events')).json().data.filter(({ message }: { message: string }) => message.includes('paused'))).toHaveLength(1);
  });

  it('of a job that has ended, or of none › is refused', async () => {
    const id = await create();
    await act(id, 'cancel');
    expect(refusal(await act(id, 'pause'))).toMatchObject({ status: 400, message: `The job "${id}" has already been cancelled` });
    expect(refusal(await act(id, 'resume'))).toMatchObject({ status: 400, code: 'fine_tune_already_finished' });
    for (const action of ['pause', 'resume']) expect(refusal(await act('ftjob-none', action))).toMatchObject({ code: 'fine_tune_not_found' });
  });

  it("of a job that is then cancelled › ends it, and nothing of its worker's is written any more", async () => {
    const { jobs, jobRecord } = service.services;
    const { id, attempt } = await held('read', 'start');
    await act(id, 'pause');
    expect((await act(id, 'cancel')).json()).toMatchObject({ status: 'cancelled' });
    expect(await jobs.heartbeat(id, attempt)).toBeNull();
    expect(await jobRecord.addMetrics({ id, attempt }, [{ step: 1, metrics: { train_loss: 1 } }])).toBe(false);
  });
});

describe('resume of a failed job', () => {
  const failed = async (...moves: MoveName[]) => {
    const { id, attempt } = await held(...moves);
    await service.services.jobs.move(id, 'fail', { attempt, patch: { error: { code: 'training_process_died', message: 'It died', param: null } } });
    return { id, attempt };
  };

  it('makes it wait again without its error, for a new attempt', async () => {
    const { id, attempt } = await failed('read', 'start');
    expect((await act(id, 'resume')).json()).toMatchObject({ status: 'queued', error: null, finished_at: null });
    expect(await newestEvent(id)).toMatch(/starts from the beginning/);
    expect(await service.services.jobs.claim(id, 'worker-b')).toMatchObject({ attempt: attempt + 1 });
  });

  it('whose data was never read › has it read again', async () => {
    const { id } = await failed();
    expect((await act(id, 'resume')).json()).toMatchObject({ status: 'validating_files' });
  });

  it('whose file has been deleted › is refused, with what to do', async () => {
    const file = await service.upload();
    const { id } = (await service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file: file })).json();
    await service.services.jobs.move(id, 'fail');
    await service.inject({ method: 'DELETE', url: `/v1/files/${file}` });
    expect(refusal(await act(id, 'resume'))).toMatchObject({
      code: 'invalid_training_file',
      param: 'training_file',
      message: expect.stringMatching(/Upload it again/),
    });
    expect((await get(id)).json()).toMatchObject({ status: 'failed' });
  });
});

describe('delete', () => {
  const remove = (id: string) => service.inject({ method: 'DELETE', url: `/v1/fine_tuning/jobs/${id}` });

  it('of a running job › removes it with all that it made, and its worker writes nothing more', async () => {
    const { jobs, jobRecord, files, objectStore } = service.services;
    const { id, attempt } = await held('read', 'start');
    const result = { id: newFileId(), filename: 'r.csv', purpose: 'fine-tune-results' as const, sizeBytes: 1, sha256: '' };
    await files.create(DEFAULT_PROJECT, { ...result, storageKey: keys.file(result.id) });
    await objectStore.put(keys.file(result.id), 'x');
    await objectStore.put(`${keys.job(id)}checkpoints/1/adapter/a`, 'x');
    await jobs.heartbeat(id, attempt, { resultFileIds: [result.id] });
    expect((await remove(id)).json()).toEqual({ id, object: 'fine_tuning.job', deleted: true });
    expect(refusal(await get(id))).toMatchObject({ status: 404, code: 'fine_tune_not_found' });
    expect(await objectStore.list(keys.job(id))).toEqual([]);
    await sweepFiles(service.services);
    expect(await objectStore.list(keys.file(result.id))).toEqual([]);
    expect(await jobs.heartbeat(id, attempt)).toBeNull();
    expect(await jobRecord.addMetrics({ id, attempt }, [{ step: 1, metrics: { train_loss: 1 } }])).toBe(false);
    expect((await service.inject({ url: `/v1/files/${training_file}` })).statusCode).toBe(200);
    expect(refusal(await remove(id))).toMatchObject({ status: 404 });
  });
});
