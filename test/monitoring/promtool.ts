import { spawnSync } from 'node:child_process';

/** @returns Prometheus's own tool (Debian's package `prometheus`), or null where it is not installed */
export const promtool = (): string | null => (spawnSync('promtool', ['--version']).status === 0 ? 'promtool' : null);
