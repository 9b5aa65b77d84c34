import { type Static, Type } from 'typebox';
import { explicit, orAuto } from '../or-auto.ts';
import type { ObjectiveFormat } from './format.ts';
import { PREFERENCE_RATE_SCALE } from './preference-rates.ts';

/** TRL's default, and the paper's λ. */
const AUTO_BETA = 0.1;
const MAX_BETA = 10;

/** Odds ratio preference optimisation (Hong et al. 2024), with TRL's names. It compares with no reference. */
const OrpoHyperparameters = Type.Object({
  beta: orAuto(
    Type.Number({ exclusiveMinimum: 0, maximum: MAX_BETA }),
    `Weight of the odds ratio beside the preferred answer's own cross-entropy, the paper's λ; auto is ${AUTO_BETA}.`,
  ),
});

export interface ResolvedOrpo {
  beta: number;
}

export const orpoFormat: ObjectiveFormat<Static<typeof OrpoHyperparameters>, ResolvedOrpo> = {
  examples: ['preference'],
  learningRateScale: PREFERENCE_RATE_SCALE,
  properties: OrpoHyperparameters.properties,
  resolve: ({ beta }) => ({ beta: explicit(beta) ?? AUTO_BETA }),
  check: () => {},
};
