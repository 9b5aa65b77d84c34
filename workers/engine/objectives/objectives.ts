import type { ObjectiveName } from '../../../src/formats/objective.ts';
import type { Objective } from './objective.ts';
import { supervised } from './supervised.ts';

const OBJECTIVES: Readonly<Record<ObjectiveName, Objective>> = { supervised };

export const objectiveOf = (name: ObjectiveName): Objective => OBJECTIVES[name];
