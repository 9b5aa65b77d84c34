import { type Static, Type } from 'typebox';
import { explicit, orAuto } from '../or-auto.ts';
import { Refusal } from '../refusal.ts';
import type { ObjectiveFormat } from './format.ts';
import { PREFERENCE_RATE_SCALE } from './preference-rates.ts';

/** TRL's default, and the DPO paper's. */
const AUTO_BETA = 0.1;
/** OpenAI's limit. */
const MAX_BETA = 2;
/** Far beyond any use: the chosen answer's own loss would be all that counts. */
const MAX_RPO_ALPHA = 100;

/** Direct preference optimisation (Rafailov et al. 2023), with TRL's names. */
const DpoHyperparameters = Type.Object({
  beta: orAuto(
    Type.Number({ exclusiveMinimum: 0, maximum: MAX_BETA }),
    `How strongly the model is held to the reference; auto is ${AUTO_BETA}. With the loss ipo it is that paper's τ.`,
  ),
  loss_type: Type.Optional(
    Type.Union([Type.Literal('sigmoid'), Type.Literal('ipo'), Type.Literal('hinge')], {
      default: 'sigmoid',
      description: 'sigmoid is DPO as published; ipo (Azar et al. 2023) compares means over tokens; hinge is SLiC (Zhao et al. 2023).',
    }),
  ),
  label_smoothing: Type.Optional(
    Type.Number({
      minimum: 0,
      exclusiveMaximum: 0.5,
      default: 0,
      description: 'The probability that a preference is the wrong way round (conservative DPO); only with the loss sigmoid.',
    }),
  ),
  rpo_alpha: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: MAX_RPO_ALPHA,
      default: 0,
      description: "Weight of the preferred answer's own cross-entropy, which is added to the loss (RPO).",
    }),
  ),
});
type DpoHyperparameters = Static<typeof DpoHyperparameters>;

export interface ResolvedDpo {
  beta: number;
  loss_type: 'sigmoid' | 'ipo' | 'hinge';
  label_smoothing: number;
  rpo_alpha: number;
}

export const dpoFormat: ObjectiveFormat<DpoHyperparameters, ResolvedDpo> = {
  examples: ['preference'],
  learningRateScale: PREFERENCE_RATE_SCALE,
  properties: DpoHyperparameters.properties,
  resolve: ({ beta, loss_type = 'sigmoid', label_smoothing = 0, rpo_alpha = 0 }) => ({
    beta: explicit(beta) ?? AUTO_BETA,
    loss_type,
    label_smoothing,
    rpo_alpha,
  }),
  check({ loss_type: type = 'sigmoid', label_smoothing: smoothing = 0 }, param) {
    if (smoothing > 0 && type !== 'sigmoid')
      throw new Refusal('invalid_value', `label_smoothing is ${smoothing}, but the loss "${type}" has none`, {
        param: `${param}.label_smoothing`,
        hint: 'Leave it out, or use the loss_type "sigmoid".',
      });
  },
};
