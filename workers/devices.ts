import { readdir } from 'node:fs/promises';

/** Where the NVIDIA driver shows its GPUs, one directory each. */
const GPUS = '/proc/driver/nvidia/gpus';

/** What a training process may see: a GPU's number or UUID for CUDA_VISIBLE_DEVICES, or null for the CPU. */
export type Device = string | null;

/**
 * @param visible CUDA_VISIBLE_DEVICES of this process: the GPUs it may use, all when it is not set
 * @returns the GPUs, or the CPU where there is none
 */
export async function findDevices(visible: string | undefined): Promise<Device[]> {
  const gpus = await readdir(GPUS).catch(() => []);
  if (gpus.length === 0) return [null];
  if (visible === undefined) return gpus.map((_, index) => String(index));
  const chosen = visible.split(',').map((name) => name.trim());
  const usable = chosen.filter((name) => name !== '' && name !== '-1' && name !== 'NoDevFiles');
  return usable.length > 0 ? usable : [null];
}

export const deviceName = (device: Device): string => (device === null ? 'CPU' : `NVIDIA GPU ${device}`);
