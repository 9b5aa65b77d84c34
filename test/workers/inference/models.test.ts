import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GenerationModel } from '../../../workers/engine/generation/contract.ts';
import { openModels } from '../../../workers/inference/models.ts';

const SIZE = 1000;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'graft-models-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** A directory with weights of `SIZE` bytes in f16, held in twice as many. */
async function model(key: string) {
  const dir = await mkdtemp(join(root, 'model-'));
  await writeFile(join(dir, 'model.safetensors'), Buffer.alloc(SIZE));
  await writeFile(join(dir, 'config.json'), JSON.stringify({ dtype: 'float16' }));
  return { key, dir, adapter: null, templateKwargs: null };
}

/** Models that are as large as they are thought to be. */
function holding(memoryBytes: number | null) {
  const events: string[] = [];
  const open = async ({ modelDir }: { modelDir: string }) => {
    const fake: Partial<GenerationModel> = {
      memoryBytes: () => 2 * SIZE,
      addAdapter: async (name) => void events.push(`adds ${name}`),
      removeAdapter: (name) => void events.push(`removes ${name}`),
      dispose: () => void events.push(`closes ${modelDir}`),
    };
    events.push(`opens ${modelDir}`);
    return fake as GenerationModel;
  };
  return { events, models: openModels({ memoryBytes, open, onChange: () => {} }) };
}

describe('models in memory', () => {
  it('are opened once for requests at the same time, and stay', async () => {
    const { events, models } = holding(null);
    const one = await model('one');
    const borrowed = await Promise.all([models.borrow(one), models.borrow(one)]);
    for (const { giveBack } of borrowed) giveBack();
    (await models.borrow(one)).giveBack();
    expect(events).toEqual([`opens ${one.dir}`]);
  });

  it('leave for another one, the least recently used first, but not while they answer', async () => {
    const { events, models } = holding(4 * SIZE);
    const [first, second, third] = [await model('first'), await model('second'), await model('third')];
    const answering = await models.borrow(first);
    (await models.borrow(second)).giveBack();
    const other = await models.borrow(third);
    expect(events.slice(2)).toEqual([`closes ${second.dir}`, `opens ${third.dir}`]);
    await expect(models.borrow(second)).rejects.toMatchObject({ code: 'generation_busy' });
    answering.giveBack();
    other.giveBack();
    (await models.borrow(second)).giveBack();
    expect(events.slice(4)).toEqual([`closes ${first.dir}`, `opens ${second.dir}`]);
  });

  it('that are larger than all that there is are refused', async () => {
    await expect(holding(SIZE).models.borrow(await model('large'))).rejects.toMatchObject({ code: 'model_too_large' });
  });

  it('take what is stored where that is bf16, on a CPU', async () => {
    const { key, dir, ...rest } = await model('small');
    await writeFile(join(dir, 'config.json'), JSON.stringify({ dtype: 'bfloat16' }));
    const { events, models } = holding(SIZE);
    await models.borrow({ key, dir, ...rest });
    expect(events).toEqual([`opens ${dir}`]);
  });

  it('keep 64 adapters; those used least recently leave', async () => {
    const { events, models } = holding(null);
    const base = await model('base');
    const use = async (key: string) => (await models.borrow({ ...base, adapter: { key, dir: base.dir } })).giveBack();
    for (let index = 0; index < 64; index++) await use(`a${index}`);
    expect(events.filter((event) => event.startsWith('removes'))).toEqual([]);
    await use('one more');
    expect(events.slice(-2)).toEqual(['removes a0', 'adds one more']);
  });
});
