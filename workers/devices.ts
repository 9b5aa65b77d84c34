import { readdir } from 'node:fs/promises';

/** Where the NVIDIA driver lists its GPUs, one directory per GPU. */
const GPUS = '/proc/driver/nvidia/gpus';

/** A GPU's index or UUID, as CUDA_VISIBLE_DEVICES takes it, or null for the CPU. */
export type Device = string | null;

/**
 * @param visible this process's CUDA_VISIBLE_DEVICES; undefined allows every GPU
 * @returns the GPUs that this process may use, or the CPU if there are none
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
