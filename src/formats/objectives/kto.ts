import { type Static, Type } from 'typebox';
import { explicit, orAuto } from '../or-auto.ts';
import { Refusal } from '../refusal.ts';
import type { ObjectiveFormat } from './format.ts';
import { PREFERENCE_RATE_SCALE } from './preference-rates.ts';

/** TRL's default, and the paper's. */
const AUTO_BETA = 0.1;
const MAX_BETA = 10;
/** The paper's ratios of good to bad answers are below 10; far more would leave the others unlearned. */
const MAX_WEIGHT = 100;
/** With one answer a step, the divergence would be estimated from the answer itself. */
const MIN_BATCH = 2;

const lossWeight = (of: string) =>
  Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: MAX_WEIGHT,
      default: 1,
      description: `Weight of the loss of each ${of} answer, against unequal numbers of them.`,
    }),
  );

/** Kahneman–Tversky optimisation (Ethayarajh et al. 2024), with TRL's names. */
const KtoHyperparameters = Type.Object({
  beta: orAuto(Type.Number({ exclusiveMinimum: 0, maximum: MAX_BETA }), `How strongly the model is held to the reference; auto is ${AUTO_BETA}.`),
  loss_type: Type.Optional(
    Type.Union([Type.Literal('kto'), Type.Literal('apo_zero_unpaired')], {
      default: 'kto',
      description:
        "kto compares an answer's reward with an estimate of the divergence from the reference; apo_zero_unpaired (D'Oosterlinck et al. 2024) compares it with 0.",
    }),
  ),
  desirable_weight: lossWeight('good'),
  undesirable_weight: lossWeight('bad'),
});
type KtoHyperparameters = Static<typeof KtoHyperparameters>;

export interface ResolvedKto {
  beta: number;
  loss_type: 'kto' | 'apo_zero_unpaired';
  desirable_weight: number;
  undesirable_weight: number;
}

export const ktoFormat: ObjectiveFormat<KtoHyperparameters & { batch_size?: number | 'auto' }, ResolvedKto> = {
  examples: ['labelled', 'preference'],
  learningRateScale: PREFERENCE_RATE_SCALE,
  minBatchSize: MIN_BATCH,
  properties: KtoHyperparameters.properties,
  resolve: ({ beta, loss_type = 'kto', desirable_weight = 1, undesirable_weight = 1 }) => ({
    beta: explicit(beta) ?? AUTO_BETA,
    loss_type,
    desirable_weight,
    undesirable_weight,
  }),
  check({ loss_type: type = 'kto', batch_size: batchSize, desirable_weight: good = 1, undesirable_weight: bad = 1 }, param) {
    if (type === 'kto' && (explicit(batchSize) ?? MIN_BATCH) < MIN_BATCH)
      throw new Refusal('invalid_value', `batch_size is ${batchSize}, but the loss "kto" estimates a divergence from the answers of a step`, {
        param: `${param}.batch_size`,
        hint: `Use ${MIN_BATCH} or more, or the loss_type "apo_zero_unpaired".`,
      });
    if (good === 0 && bad === 0)
      throw new Refusal('invalid_value', 'desirable_weight and undesirable_weight are both 0, so nothing would be learned', {
        param: `${param}.desirable_weight`,
        hint: 'Give at least one of them a weight.',
      });
  },
};

/** The paper's eq. 8: the good answers' weight in the loss, all together, should be from one to 4/3 of that of the bad ones. TRL rounds it so. */
const MAX_IMBALANCE = 1.33;

/** @returns what the user should know of how many answers are good and how many bad */
export function labelWarnings(
  { good, bad }: { good: number; bad: number },
  { desirable_weight: ofGood, undesirable_weight: ofBad }: ResolvedKto,
): string[] {
  if (good === 0 || bad === 0)
    return [`All answers of the training file are labelled ${bad === 0}. KTO learns from the difference between good and bad ones, so give it both.`];
  const ratio = (good * ofGood) / (bad * ofBad);
  const isAsked = ofGood === 0 || ofBad === 0; // one kind is left out on purpose
  if (good === bad || isAsked || (ratio >= 1 && ratio <= MAX_IMBALANCE)) return [];
  const range = (least: number) => `${least.toFixed(2)} to ${(least * MAX_IMBALANCE).toFixed(2)}`;
  return [
    `The training file has ${good} good and ${bad} bad answers. The paper recommends a desirable_weight of ${range((bad * ofBad) / good)}, or an undesirable_weight of ${range((good * ofGood) / bad / MAX_IMBALANCE)}.`,
  ];
}
