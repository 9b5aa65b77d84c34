import type { Target } from '../target.ts';
import { formatTargets } from './formats.ts';
import { ggufTargets } from './gguf.ts';
import { httpTargets } from './http.ts';
import { modelTargets } from './models.ts';

/** The rows of the table, in its order. */
export const targets: readonly Target[] = [...formatTargets, ...modelTargets, ...ggufTargets, ...httpTargets];
