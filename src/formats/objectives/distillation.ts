import { type Static, Type } from 'typebox';
import { Refusal } from '../refusal.ts';
import type { ObjectiveFormat } from './format.ts';

/** Those of the example in Axolotl's documentation of its plugin, which itself has none. */
const DEFAULTS = { kd_alpha: 0.9, kd_ce_alpha: 0.1, kd_temperature: 1 } as const;
/** Far beyond any use: one part of the loss would be all that counts. */
const MAX_ALPHA = 100;
/** The paper's are from 1 to 20. Nearer to 0, a teacher's distribution is one token; far above, all that it lists is equally probable. */
const TEMPERATURES = { minimum: 0.1, maximum: 100 } as const;

const alpha = (name: 'kd_alpha' | 'kd_ce_alpha', description: string) =>
  Type.Optional(Type.Number({ minimum: 0, maximum: MAX_ALPHA, default: DEFAULTS[name], description }));

/** Knowledge distillation (Hinton et al. 2015) from a teacher's log-probabilities in the file, with the names of Axolotl's plugin. */
const DistillationHyperparameters = Type.Object({
  kd_alpha: alpha('kd_alpha', "Weight of the divergence from the teacher's distribution. A token without a teacher has it on its cross-entropy."),
  kd_ce_alpha: alpha('kd_ce_alpha', "Weight of each token's own cross-entropy."),
  kd_temperature: Type.Optional(
    Type.Number({
      ...TEMPERATURES,
      default: DEFAULTS.kd_temperature,
      description:
        "Divides the logarithms of both distributions before they are compared; the divergence is multiplied by its square, as in Hinton's paper.",
    }),
  ),
});
type DistillationHyperparameters = Static<typeof DistillationHyperparameters>;

export interface ResolvedDistillation {
  kd_alpha: number;
  kd_ce_alpha: number;
  kd_temperature: number;
}

export const distillationFormat: ObjectiveFormat<DistillationHyperparameters, ResolvedDistillation> = {
  examples: ['distilled'],
  learningRateScale: 1,
  properties: DistillationHyperparameters.properties,
  resolve: ({ kd_alpha = DEFAULTS.kd_alpha, kd_ce_alpha = DEFAULTS.kd_ce_alpha, kd_temperature = DEFAULTS.kd_temperature }) => ({
    kd_alpha,
    kd_ce_alpha,
    kd_temperature,
  }),
  check({ kd_alpha: kd = DEFAULTS.kd_alpha, kd_ce_alpha: ce = DEFAULTS.kd_ce_alpha }, param) {
    if (kd === 0 && ce === 0)
      throw new Refusal('invalid_value', 'kd_alpha and kd_ce_alpha are both 0, so nothing would be learned', {
        param: `${param}.kd_alpha`,
        hint: 'Give at least one of them a weight.',
      });
  },
};
