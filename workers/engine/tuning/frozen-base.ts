/** What the methods have in common that leave the base frozen and deliver an adapter whose tensors follow from its adapter_config.json. */
import { join } from 'node:path';
import { ADAPTER_WEIGHTS_FILE } from '../../../src/formats/model-files.ts';
import type { ResolvedTuning } from '../../../src/formats/tuning/tuning.ts';
import { shapeProblems } from '../proof/adapter-shapes.ts';
import type { Method } from './method.ts';

export const leavesBaseFrozen = <T extends ResolvedTuning>(
  readTuning: (dir: string) => T,
): Pick<Method<T>, 'trainsWeight' | 'tensorFiles' | 'layoutProblems'> => ({
  trainsWeight: () => false,
  tensorFiles: (dir) => [join(dir, ADAPTER_WEIGHTS_FILE)],
  layoutProblems: (dir, { tuning, modelDir }) => shapeProblems(dir, { modelDir, tuning, written: readTuning(dir) }),
});
