import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeAdapter } from '../../src/files/adapter-archive.ts';
import { describedModel } from '../models/described-model.ts';
import { type RunningService, refusal, runService } from '../running-service.ts';
import { filesOf, PEFT_ADAPTER, tarOfFiles } from './adapter-tar.ts';

let service: RunningService;
let training_file: string;
beforeAll(async () => {
  service = await runService();
  training_file = await service.upload();
  await service.services.models.announce({ id: 'worker-described', hostname: 'here', device: 'CPU' }, [describedModel('described')]);
});
afterAll(() => service.close());

const peft = filesOf(PEFT_ADAPTER);
const config = JSON.parse(peft['adapter_config.json']!.toString());
const withConfig = (fields: object) => ({ ...peft, 'adapter_config.json': JSON.stringify({ ...config, ...fields }) });

async function upload(content: Buffer, name = 'adapter.tar') {
  const { id } = await service.client.files.create({ file: new File([new Uint8Array(content)], name), purpose: 'fine-tune' });
  for (;;) {
    const file = await service.client.files.retrieve(id);
    if (file.status !== 'uploaded') return file;
    await delay(50);
  }
}
const uploadFiles = async (files: Record<string, Buffer | string | null>) => upload(await tarOfFiles(files));
const create = (body: object) => service.post('/v1/fine_tuning/jobs', { model: 'graft-tiny', training_file, ...body });

describe('a tar of an adapter that PEFT wrote', () => {
  it('in a folder and with further files › is accepted, and says which files are not used', async () => {
    const inFolder = Object.fromEntries(
      Object.entries({ ...peft, 'training_args.bin': 'a' }).map(([name, content]) => [`./my-adapter/${name}`, content]),
    );
    const file = await uploadFiles(inFolder);
    expect(file).toMatchObject({ status: 'processed', purpose: 'fine-tune' });
    const { warnings } = (await service.inject({ url: `/v1/files/${file.id}/validation` })).json();
    expect(warnings).toEqual([expect.stringMatching(/not used: .*"my-adapter\/training_args.bin"/)]);
  });

  it('is where a job starts, with its tuning or a larger rank, and the job says so', async () => {
    const { id } = await upload(gzipSync(await tarOfFiles(peft)), 'adapter.tar.gz');
    const { r, lora_alpha } = config;
    const job = (await create({ start_from: id })).json();
    expect(job).toMatchObject({ model: 'graft-tiny', start_from: id, tuning: { type: 'lora', r, lora_alpha, use_rslora: false } });
    expect([...job.tuning.target_modules].sort()).toEqual([...config.target_modules].sort());
    expect((await create({ start_from: id, tuning: { type: 'lora', r: r + 1 } })).json().tuning).toMatchObject({ r: r + 1 });
    // A job as it is shown is a request for another one.
    expect((await service.post('/v1/fine_tuning/jobs', job)).json()).toMatchObject({ start_from: id });
    for (const tuning of [{ type: 'full' }, { type: 'lora', r: 1 }])
      expect(refusal(await create({ start_from: id, tuning }))).toMatchObject({ status: 400, code: 'tuning_mismatch', param: 'tuning' });
    expect(refusal(await create({ training_file: id }))).toMatchObject({
      code: 'invalid_training_file',
      message: expect.stringMatching(/is an adapter/),
    });
  });

  it('of another base, or whose shapes are not those of the model › is refused with what differs', async () => {
    const { id } = await uploadFiles(withConfig({ base_model_name_or_path: 'graft-tiny' }));
    expect(refusal(await create({ model: 'described', start_from: id }))).toMatchObject({
      code: 'adapter_mismatch',
      param: 'start_from',
      message: 'The adapter is one of "graft-tiny", and the job\'s model is "described". Name "graft-tiny" as the model.',
    });
    const estimate = { model: 'described', start_from: id };
    expect(refusal(await service.post('/v1/fine_tuning/estimate', estimate))).toMatchObject({ code: 'adapter_mismatch', param: 'start_from' });
    const unnamed = await uploadFiles(withConfig({ base_model_name_or_path: '/somewhere/else' }));
    expect(refusal(await create({ model: 'described', start_from: unnamed.id }))).toMatchObject({
      code: 'adapter_mismatch',
      message: expect.stringMatching(
        /does not fit "described": base_model\.model\.model\.layers\.0\..*lora_A\.weight is \[\d+,\d+\] where the model needs \[\d+,\d+\]/,
      ),
    });
  });

  it('of a kind without a method here › is refused by its name', async () => {
    const { id } = await uploadFiles(withConfig({ peft_type: 'LOKR' }));
    expect(refusal(await create({ start_from: id }))).toMatchObject({ code: 'unsupported_adapter', message: expect.stringMatching(/"LOKR"/) });
  });
});

describe('a tar that is refused', () => {
  const { 'adapter_model.safetensors': weights, ...withoutWeights } = peft as { 'adapter_model.safetensors': Buffer };
  it.each([
    ['has pickled weights', { ...withoutWeights, 'adapter_model.bin': 'a' }, /"adapter_model.bin" is pickled/],
    ['has no weights', withoutWeights, /has no adapter_model.safetensors/],
    ['leads out of its directory', { '../adapter_config.json': '{}', ...peft }, /leads out of it/],
    ['has a link', { ...peft, link: null }, /is a symlink/],
    ['has two adapters', { ...peft, 'second/adapter_config.json': '{}' }, /two adapters/],
    ['has weights that are cut off', { ...peft, 'adapter_model.safetensors': weights.subarray(0, weights.length - 4) }, /cut off/],
    ['has a configuration that is not JSON', { ...peft, 'adapter_config.json': '{' }, /is not JSON/],
  ])('because it %s has the status error, with what to do', async (_, files, problem) => {
    const file = await uploadFiles(files as Record<string, Buffer>);
    expect(file).toMatchObject({ status: 'error', status_details: expect.stringMatching(problem) });
    expect(refusal(await create({ start_from: file.id }))).toMatchObject({ code: 'invalid_start_from', param: 'start_from' });
  });

  it('because it is cut off has the status error', async () => {
    const whole = await tarOfFiles(peft);
    expect((await upload(whole.subarray(0, 5000))).status).toBe('error');
    expect((await upload(gzipSync(whole).subarray(0, 3000), 'a.tgz')).status).toBe('error');
  });
});

describe('a tar whose store fails', () => {
  it('is not judged, whatever the store says', async () => {
    const start = (await tarOfFiles(peft)).subarray(0, 2048);
    const failing = (async function* () {
      yield start;
      throw new Error('the target could not start: no response header');
    })();
    await expect(judgeAdapter(failing, start)).rejects.toThrow('the target could not start');
  });
});

describe('start_from', () => {
  it('that names a dataset, another project’s file or nothing › is refused', async () => {
    for (const start_from of [training_file, 'file-none'])
      expect(refusal(await create({ start_from }))).toMatchObject({ status: 400, code: 'invalid_start_from', param: 'start_from' });
    const other = await service.services.projects.create('graft', { name: 'Other' });
    const { id } = await uploadFiles(peft);
    const foreign = await service.services.files.find(other.id, id);
    expect(foreign).toBeNull();
  });
});
