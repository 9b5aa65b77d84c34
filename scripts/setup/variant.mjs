/** Which TensorFlow this machine gets. */
import { existsSync } from 'node:fs';

/** The driver of a machine, a container's, and WSL's. */
const driverPaths = ['/proc/driver/nvidia/version', '/dev/nvidiactl', '/usr/lib/wsl/lib/libcuda.so.1'];

/**
 * @param {{env?: Record<string, string | undefined>, arch?: string, exists?: (path: string) => boolean}} [machine]
 * @returns {'cpu' | 'cuda'} GRAFT_TENSORFLOW when set, else `cuda` where an NVIDIA driver is
 */
export function tensorflowVariant({ env = process.env, arch = process.arch, exists = existsSync } = {}) {
  const asked = env['GRAFT_TENSORFLOW'];
  if (asked === 'cpu' || asked === 'cuda') return asked;
  if (asked) throw new Error(`GRAFT_TENSORFLOW is "${asked}"; it takes cpu or cuda`);
  // TensorFlow has no CUDA package for arm64.
  return arch === 'x64' && driverPaths.some((path) => exists(path)) ? 'cuda' : 'cpu';
}
