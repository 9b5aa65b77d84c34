import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningService, refusal, runService } from '../running-service.ts';

const COMMIT = 'a'.repeat(40);
let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService(); // which may download nothing
  training_file = await service.upload();
  const cached = (id: string) => ({ id, family: 'llama', parameters: 1, sizeBytes: 1, revision: COMMIT });
  const local = { ...cached('team/own'), revision: null };
  await service.services.models.announce({ id: 'worker-cache', hostname: 'here', device: 'CPU' }, [cached('org/name'), cached('gpt2'), local]);
});
afterAll(() => service.close());

const create = (model: string) => service.post('/v1/fine_tuning/jobs', { model, training_file });
const revisionOf = async (model: string) => (await service.services.jobs.findAny((await create(model)).json().id))!.modelRevision;

describe('the base model of a job', () => {
  it.each(['org/name', 'gpt2', `org/name@${COMMIT}`])(
    '%s, which a worker has in a cache of the hub › is at the commit that it has',
    async (model) => {
      expect(await revisionOf(model)).toBe(COMMIT);
    },
  );

  it('team/own, a directory of a worker › has no commit', async () => {
    expect(await revisionOf('team/own')).toBeNull();
  });

  it.each([`org/name@${'b'.repeat(40)}`, 'org/name@main'])('%s, which no worker is known to have › is refused', async (model) => {
    expect(refusal(await create(model))).toMatchObject({ status: 403, code: 'model_download_not_allowed' });
  });

  it('that is an unknown tuned model › is refused', async () => {
    const refused = refusal(await create('ft:graft-tiny:graft::abcd'));
    expect(refused).toMatchObject({
      status: 404,
      code: 'model_not_found',
      message: expect.stringContaining('There is no tuned model or checkpoint'),
    });
  });
});
