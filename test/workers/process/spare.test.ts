import type { Logger } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import type { Device } from '../../../workers/devices.ts';
import type { ForkedTraining, ForkOptions } from '../../../workers/process/forked.ts';
import { spareProcess } from '../../../workers/process/spare.ts';

interface FakeProcess extends ForkedTraining {
  options: ForkOptions;
  kill(): Promise<void>;
}

/** A spare with fake processes that record how they were started. */
function fakeSpare(devices: Device[] = [null]) {
  const started: FakeProcess[] = [];
  const fork = (options: ForkOptions): ForkedTraining => {
    let gone = false;
    const kill = async () => {
      gone = true;
    };
    const process = { options, kill, isGone: () => gone } as unknown as FakeProcess;
    started.push(process);
    return process;
  };
  const log = logger();
  return { started, log, spare: spareProcess({ devices, environment: { PATH: '/bin' }, log, fork }) };
}

const logger = () => ({ debug: vi.fn() }) as unknown as Logger;
const lines = (log: Logger) => vi.mocked(log.debug).mock.calls.map(([context]) => (context as unknown as { line: string }).line);

describe('a worker’s spare process', () => {
  it('that was warmed › goes to the first job, and the next job gets another', () => {
    const { spare, started } = fakeSpare();
    spare.warm();
    spare.warm();
    expect(started).toHaveLength(1);
    expect(spare.take(logger())).toBe(started[0]);
    spare.warm();
    expect(spare.take(logger())).toBe(started[1]);
    expect(started).toHaveLength(2);
  });

  it('that was not warmed › starts with the job', () => {
    const { spare, started } = fakeSpare();
    expect(spare.take(logger())).toBe(started[0]);
  });

  it('that died while it waited › is replaced', async () => {
    const { spare, started } = fakeSpare();
    spare.warm();
    await started[0]!.kill();
    expect(spare.take(logger())).toBe(started[1]);
  });

  it('prints to the worker’s log until a job takes it, then to that job’s, even while the next one waits', () => {
    const { spare, started, log } = fakeSpare();
    const [job, nextJob] = [logger(), logger()];
    spare.warm();
    started[0]!.options.onOutput!('before');
    spare.take(job);
    spare.warm();
    started[0]!.options.onOutput!('in the job');
    started[1]!.options.onOutput!('the next');
    spare.take(nextJob);
    started[0]!.options.onOutput!('still');
    expect(lines(log)).toEqual(['before', 'the next']);
    expect(lines(job)).toEqual(['in the job', 'still']);
    expect(lines(nextJob)).toEqual([]);
  });

  it.each([
    [[null], ''],
    [['1'], '1'],
    [['0', 'GPU-8f1c'], '0,GPU-8f1c'],
  ])('on the devices %j › sees the GPUs "%s" and no environment but the one it is given', (devices, visible) => {
    const { spare, started } = fakeSpare(devices);
    spare.warm();
    expect(started[0]!.options.env).toEqual({ PATH: '/bin', CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: visible });
  });

  it('that is waiting when the worker stops › is killed', async () => {
    const { spare, started } = fakeSpare();
    spare.warm();
    await spare.close();
    expect(started[0]!.isGone()).toBe(true);
  });
});
