/** What happens at an optimizer step that would harm the model. */
import { type Static, Type } from 'typebox';

/** A batch in a few thousand may be bad; a run with more of them is not healthy. */
export const DEFAULT_MAX_SKIPPED_STEPS = 3;
const MAX_SKIPPED_STEPS = 1000;

const BadStepFields = Type.Object({
  max_skipped_steps: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: MAX_SKIPPED_STEPS,
      default: DEFAULT_MAX_SKIPPED_STEPS,
      description: 'How many steps whose loss or gradient is not finite are left out, each with a warning, before the job fails.',
    }),
  ),
  loss_spike_factor: Type.Optional(
    Type.Number({
      exclusiveMinimum: 1,
      maximum: 1000,
      description: 'Also leaves out a step whose loss is more than this many times the median of the last 50 steps; off by default.',
    }),
  ),
});
export type BadStepFields = Static<typeof BadStepFields>;
export const badStepFields = BadStepFields.properties;
