import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

/** Only where the driver is: asking costs a process. */
const DRIVER = '/proc/driver/nvidia';
const TIMEOUT_MS = 5_000;
const QUERY = ['--query-gpu=index,memory.used,memory.total', '--format=csv,noheader,nounits'];
const MIB = 2 ** 20;

export interface GpuMemory {
  /** Its index. */
  gpu: string;
  /** Bytes. */
  used: number;
  total: number;
}

/** @returns nothing without a GPU, or where nvidia-smi does not answer */
export async function gpuMemory(): Promise<GpuMemory[]> {
  if (!existsSync(DRIVER)) return [];
  const { stdout } = await promisify(execFile)('nvidia-smi', QUERY, { timeout: TIMEOUT_MS }).catch(() => ({ stdout: '' }));
  return parseGpuMemory(stdout);
}

/** @param text lines such as `0, 1234, 81559` */
export const parseGpuMemory = (text: string): GpuMemory[] =>
  text.split('\n').flatMap((line) => {
    const found = /^(\d+), (\d+), (\d+)$/.exec(line.trim());
    return found === null ? [] : [{ gpu: found[1]!, used: MIB * Number(found[2]), total: MIB * Number(found[3]) }];
  });
