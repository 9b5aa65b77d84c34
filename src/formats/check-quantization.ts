import type { Quantization } from './quantization.ts';
import { Refusal } from './refusal.ts';
import { isDecomposed } from './tuning/lora-refusals.ts';
import { deliveredBy, type ResolvedTuning } from './tuning/tuning.ts';

/**
 * @param options.param path of the hyperparameters in the request
 * @throws Refusal for a method that has no use for a base that is held quantised, or needs its weights as they were
 */
export function checkQuantization(quantization: Quantization | null | undefined, { param, tuning }: { param: string; tuning: ResolvedTuning }): void {
  if (quantization == null) return;
  const refuse = (what: string, hint: string): never => {
    throw new Refusal('invalid_value', `quantization "${quantization}" does not go together with ${what}`, { param: `${param}.quantization`, hint });
  };
  if (deliveredBy(tuning.type) === 'model')
    refuse(`tuning.type "${tuning.type}", which delivers a whole model`, 'Use an adapter, such as "lora", or leave quantization out.');
  if (tuning.type !== 'lora') return;
  if (isDecomposed(tuning))
    refuse(
      `init_lora_weights "${tuning.init_lora_weights}", which begins from the base's own weights`,
      'Leave init_lora_weights out, or quantization.',
    );
  if (tuning.use_dora === true) refuse('use_dora, which needs the whole weights at each step', 'Leave use_dora out, or quantization.');
}
