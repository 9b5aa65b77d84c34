import { type Static, Type } from 'typebox';
import { explicit, orAuto } from '../or-auto.ts';
import type { ObjectiveFormat } from './format.ts';
import { PREFERENCE_RATE_SCALE } from './preference-rates.ts';

/** The paper's; TRL's 0.1 is meant for sums over tokens, and SimPO compares means. */
const AUTO_BETA = 2;
/** The paper goes up to 10. */
const MAX_BETA = 100;
const DEFAULT_GAMMA = 0.5;
/** Far beyond any use. */
const MAX_WEIGHT = 100;

/** Simple preference optimisation (Meng et al. 2024), with the names of TRL's CPOTrainer. It compares with no reference. */
const SimpoHyperparameters = Type.Object({
  beta: orAuto(
    Type.Number({ exclusiveMinimum: 0, maximum: MAX_BETA }),
    `Scale of the mean log-probabilities that are compared; auto is ${AUTO_BETA}.`,
  ),
  simpo_gamma: Type.Optional(
    Type.Number({ minimum: 0, maximum: MAX_WEIGHT, default: DEFAULT_GAMMA, description: 'By how much the preferred answer should be ahead.' }),
  ),
  cpo_alpha: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: MAX_WEIGHT,
      default: 0,
      description: "Weight of the preferred answer's own cross-entropy, which is added to the loss; SimPO has none.",
    }),
  ),
  label_smoothing: Type.Optional(
    Type.Number({ minimum: 0, exclusiveMaximum: 0.5, default: 0, description: 'The probability that a preference is the wrong way round.' }),
  ),
});

export interface ResolvedSimpo {
  beta: number;
  simpo_gamma: number;
  cpo_alpha: number;
  label_smoothing: number;
}

export const simpoFormat: ObjectiveFormat<Static<typeof SimpoHyperparameters>, ResolvedSimpo> = {
  examples: ['preference'],
  learningRateScale: PREFERENCE_RATE_SCALE,
  properties: SimpoHyperparameters.properties,
  resolve: ({ beta, simpo_gamma = DEFAULT_GAMMA, cpo_alpha = 0, label_smoothing = 0 }) => ({
    beta: explicit(beta) ?? AUTO_BETA,
    simpo_gamma,
    cpo_alpha,
    label_smoothing,
  }),
  check: () => {},
};
