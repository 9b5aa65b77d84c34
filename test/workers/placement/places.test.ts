import type { Logger } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import type { Device } from '../../../workers/devices.ts';
import { openPlaces } from '../../../workers/placement/places.ts';
import type { ForkedTraining, ForkOptions } from '../../../workers/process/forked.ts';

const log = { debug: vi.fn() } as unknown as Logger;

/** Places with fake processes that record which devices they see and whether they are alive. */
function fakePlaces(devices: Device[]) {
  const started: { sees: string; gone: boolean }[] = [];
  const fork = ({ env }: ForkOptions): ForkedTraining => {
    const process = { sees: env['CUDA_VISIBLE_DEVICES']!, gone: false };
    started.push(process);
    const kill = async () => {
      process.gone = true;
    };
    return { kill, isGone: () => process.gone } as unknown as ForkedTraining;
  };
  const stopping = new AbortController();
  const places = openPlaces({ devices, trainingEnvironment: {}, stopping: stopping.signal, log, fork });
  const alive = () => started.filter(({ gone }) => !gone).map(({ sees }) => sees);
  return { places, started, alive, stopping };
}

describe('openPlaces', () => {
  it('starts one waiting process for each device', () => {
    const { places, alive } = fakePlaces(['0', '1']);
    expect(places.maxJobs).toBe(2);
    expect(alive()).toEqual(['0', '1']);
  });

  it('gives a job of one slot the waiting process, and starts the next one when the job leaves', async () => {
    const { places, alive } = fakePlaces(['0']);
    const place = (await places.take(1))!;
    const training = place.takeProcess(log);
    place.trained();
    expect(alive()).toEqual(['0']); // on a GPU, no process beside the job's
    await training.kill();
    place.leave();
    expect(alive()).toEqual(['0']);
  });

  it('on the CPU › starts the next process as soon as the steps are done', async () => {
    const { places, alive } = fakePlaces([null]);
    const place = (await places.take(1))!;
    place.takeProcess(log);
    expect(alive()).toEqual(['']);
    place.trained();
    expect(alive()).toEqual(['', '']);
  });

  it('gives a job of two slots one process that sees both devices, and starts no other beside it', async () => {
    const { places, alive } = fakePlaces(['0', '1', '2']);
    const place = (await places.take(2))!;
    expect(alive()).toEqual(['2']);
    const training = place.takeProcess(log);
    expect(alive()).toEqual(['2', '0,1']);
    await training.kill();
    place.takeProcess(log); // after a crash
    expect(alive()).toEqual(['2', '0,1']);
    expect(await places.take(4)).toBeNull();
  });

  it('gives both slots to the next jobs when a job of two slots leaves', async () => {
    const { places, started } = fakePlaces(['0', '1']);
    const place = (await places.take(2))!;
    await place.takeProcess(log).kill();
    place.leave();
    const [one, two] = [(await places.take(1))!, (await places.take(1))!];
    one.takeProcess(log);
    two.takeProcess(log);
    expect(started.filter(({ gone }) => !gone).map(({ sees }) => sees)).toEqual(['0', '1']);
  });

  it('when the worker stops › gives out no place and starts no process', async () => {
    const { places, alive, stopping } = fakePlaces([null]);
    const place = (await places.take(1))!;
    const training = place.takeProcess(log);
    stopping.abort();
    place.trained();
    await training.kill();
    place.leave();
    expect(await places.take(1)).toBeNull();
    await places.close();
    expect(alive()).toEqual([]);
  });
});
