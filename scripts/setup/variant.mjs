/** Chooses the TensorFlow build for this machine. */
import { existsSync } from 'node:fs';

/** Where the NVIDIA driver appears on a host, in a container and in WSL. */
const driverPaths = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/usr/lib/wsl/lib/libcuda.so.1'];

/**
 * @param {{env?: Record<string, string | undefined>, arch?: string, exists?: (path: string) => boolean}} [machine]
 * @returns {'cpu' | 'cuda'} GRAFT_TENSORFLOW if set, otherwise `cuda` where there is an NVIDIA driver
 */
export function tensorflowVariant({ env = process.env, arch = process.arch, exists = existsSync } = {}) {
  const requested = env['GRAFT_TENSORFLOW'];
  if (requested === 'cpu' || requested === 'cuda') return requested;
  if (requested) throw new Error(`GRAFT_TENSORFLOW is "${requested}"; it must be cpu or cuda`);
  // TensorFlow has no CUDA package for arm64.
  return arch === 'x64' && driverPaths.some((path) => exists(path)) ? 'cuda' : 'cpu';
}
