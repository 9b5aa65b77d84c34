import type { Target } from './syntax.ts';

/** The names that a target assigns to. */
export function names(target: Target): string[] {
  if (target.kind === 'targets') return target.items.flatMap(names);
  return target.kind === 'name' ? [target.name] : [];
}
