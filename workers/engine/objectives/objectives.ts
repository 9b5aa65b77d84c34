/** The objectives. Only this file looks an objective up by its name. */
import type { ObjectiveName } from '../../../src/formats/objectives/objectives.ts';
import { distillation } from './distillation.ts';
import { dpo } from './dpo.ts';
import { kto } from './kto.ts';
import type { Objective } from './objective.ts';
import { orpo } from './orpo.ts';
import { simpo } from './simpo.ts';
import { supervised } from './supervised.ts';

const OBJECTIVES = { supervised: () => supervised, distillation, dpo, orpo, simpo, kto } satisfies Record<
  ObjectiveName,
  (settings: never) => Objective
>;

/** @param hyperparameters as resolved: they include the objective's own */
export const objectiveOf = (name: ObjectiveName, hyperparameters: object): Objective => OBJECTIVES[name](hyperparameters as never);
