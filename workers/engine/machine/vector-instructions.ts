import { readFileSync } from 'node:fs';

/** @returns the processor's vector and matrix instructions, sorted; null outside Linux */
export function vectorInstructions(): string[] | null {
  try {
    const flags = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '';
    return flags
      .split(' ')
      .filter((flag) => /avx|amx|asimd|sve|bf16/.test(flag))
      .sort();
  } catch {
    return null;
  }
}
