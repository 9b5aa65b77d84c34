import { readdir } from 'node:fs/promises';
import { totalmem } from 'node:os';
import type { Config } from '../src/config.ts';

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

/**
 * The most that a training process may have of the main memory: that of the machine, of its container, or TRAINING_MEMORY_LIMIT.
 * @returns null on GPUs, whose own memory is smaller
 */
export function memoryForTraining(devices: readonly Device[], { trainingMemoryBytes }: Pick<Config, 'trainingMemoryBytes'>): number | null {
  if (devices.some((device) => device !== null)) return null;
  const ofContainer = process.constrainedMemory(); // 0, or more than there is, without a limit
  const limits = [totalmem(), ofContainer === 0 ? Number.POSITIVE_INFINITY : ofContainer, trainingMemoryBytes ?? Number.POSITIVE_INFINITY];
  return Math.min(...limits);
}
