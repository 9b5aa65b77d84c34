/** What a job may minimise: OpenAI's `method.type`. The engine's part of each is in `workers/engine/objectives`. */
import { distillationFormat } from './distillation.ts';
import { dpoFormat } from './dpo.ts';
import type { ExampleFamily, ObjectiveFormat } from './format.ts';
import { ktoFormat } from './kto.ts';
import { orpoFormat } from './orpo.ts';
import { simpoFormat } from './simpo.ts';
import { supervisedFormat } from './supervised.ts';

const FORMATS = {
  supervised: supervisedFormat,
  distillation: distillationFormat,
  dpo: dpoFormat,
  orpo: orpoFormat,
  simpo: simpoFormat,
  kto: ktoFormat,
};

export type ObjectiveName = keyof typeof FORMATS;
export const OBJECTIVE_NAMES = Object.keys(FORMATS) as ObjectiveName[];

export const isObjective = (name: string): name is ObjectiveName => Object.hasOwn(FORMATS, name);

/** Its functions take the objective's own hyperparameters, and leave others alone. */
export const objectiveFormat = (name: ObjectiveName): ObjectiveFormat => FORMATS[name] as unknown as ObjectiveFormat;

/** The objectives that learn from examples of a family. */
export const objectivesFor = (family: ExampleFamily): ObjectiveName[] =>
  OBJECTIVE_NAMES.filter((name) => objectiveFormat(name).examples.includes(family));
