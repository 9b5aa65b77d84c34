/** PEFT's `adapter_config.json`, in the fields of version 0.21. */
import { isRecord } from '../../../src/formats/record.ts';
import { Refusal } from '../../../src/formats/refusal.ts';
import type { ResolvedLora } from '../../../src/formats/tuning/lora-fields.ts';

export const PEFT_VERSION = '0.21.2';

/** Fields that do not affect the maths of a trained adapter. PEFT corrects `fan_in_fan_out` to match the layer. */
const DESCRIPTIVE = new Set([
  ...['auto_mapping', 'base_model_name_or_path', 'revision', 'inference_mode', 'peft_version', 'loftq_config', 'eva_config', 'corda_config'],
  ...['fan_in_fan_out', 'megatron_config', 'megatron_core', 'qalora_group_size', 'runtime_config', 'lora_ga_config', 'ensure_weight_tying'],
]);

/** Fields that are read below. */
const READ = new Set(['peft_type', 'task_type', 'r', 'lora_alpha', 'lora_dropout', 'target_modules', 'use_rslora', 'init_lora_weights']);

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === 'string';
export const isNatural = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
const isIndex: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value);
export const isDropout = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < 1;
export const isNames = (value: unknown): value is string[] => Array.isArray(value) && value.every(isText);
const oneOrMore =
  (check: Check): Check =>
  (value) =>
    check(value) || (Array.isArray(value) && value.every(check));
const mapOf =
  (check: Check): Check =>
  (value) =>
    isRecord(value) && Object.values(value).every(check);

/** Fields that become part of the tuning if they are set. */
const OPTIONAL: Readonly<Record<string, Check>> = {
  rank_pattern: mapOf(isNatural),
  alpha_pattern: mapOf(isNumber),
  exclude_modules: oneOrMore(isText),
  layers_to_transform: oneOrMore(isIndex),
  layers_pattern: oneOrMore(isText),
  use_dora: (value) => value === true,
  bias: (value) => value === 'all' || value === 'lora_only',
  modules_to_save: isNames,
  target_parameters: isNames,
};

/** Initialisations that leave the base model as it is; others (PiSSA, OLoRA, …) also change its weights. */
const PLAIN_INITIALISATIONS: unknown[] = [undefined, null, true, false, 'gaussian', 'orthogonal', 'eva', 'lora_ga'];

/**
 * @param where the file's path, for messages
 * @throws Refusal `unsupported_adapter` naming every field that asks for anything other than plain LoRA. An unknown field counts
 *   when it is set to anything but null, false or empty.
 */
export function parseAdapterConfig(json: unknown, where: string): ResolvedLora {
  if (!isRecord(json)) {
    throw new Refusal('corrupt_model_file', `${where} is not a JSON object`, { param: 'model' });
  }
  const fields = json;
  const problems: string[] = [];
  const check = (field: string, ok: boolean): void => {
    if (!ok) problems.push(`${field} is ${JSON.stringify(fields[field]) ?? 'missing'}`);
  };
  const { peft_type: peftType, task_type: taskType, r, lora_alpha: alpha, lora_dropout: dropout, target_modules: targets } = fields;
  check('peft_type', peftType === 'LORA');
  check('task_type', taskType === 'CAUSAL_LM' || taskType === null || taskType === undefined);
  check('r', isNatural(r));
  check('lora_alpha', isNumber(alpha));
  check('lora_dropout', dropout === undefined || isDropout(dropout));
  check('target_modules', oneOrMore(isText)(targets));
  check('init_lora_weights', PLAIN_INITIALISATIONS.includes(fields['init_lora_weights']));
  const others = Object.entries(fields).filter(
    ([field, value]) => !READ.has(field) && !DESCRIPTIVE.has(field) && !isUnset(value) && value !== 'none',
  );
  for (const [field, value] of others) check(field, OPTIONAL[field]?.(value) ?? false);
  if (problems.length > 0) {
    throw new Refusal('unsupported_adapter', `${where}: ${problems.join('; ')}`, {
      param: 'model',
      hint: 'Only what a job can ask of LoRA can be read.',
    });
  }
  return {
    type: 'lora',
    r: r as number,
    lora_alpha: alpha as number,
    lora_dropout: (dropout as number | undefined) ?? 0,
    target_modules: targets as ResolvedLora['target_modules'],
    use_rslora: fields['use_rslora'] === true,
    ...(Object.fromEntries(others) as Partial<ResolvedLora>),
  };
}

/**
 * Every field as PEFT writes it for inference, in PEFT's order.
 * @param base.inputFirst whether the weights of the base's linear layers are stored [in, out]
 */
export function adapterConfigJson(
  tuning: ResolvedLora & { target_modules: string[] },
  base: { name: string; revision: string | null; inputFirst: boolean },
): Record<string, unknown> {
  return {
    alora_invocation_tokens: null,
    alpha_pattern: tuning.alpha_pattern ?? {},
    arrow_config: null,
    auto_mapping: null,
    base_model_name_or_path: base.name,
    bias: tuning.bias ?? 'none',
    corda_config: null,
    ensure_weight_tying: false,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: base.inputFirst,
    inference_mode: true,
    init_lora_weights: tuning.init_lora_weights ?? true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: tuning.lora_alpha,
    lora_bias: false,
    lora_dropout: tuning.lora_dropout,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: tuning.modules_to_save ?? null,
    peft_type: 'LORA',
    peft_version: PEFT_VERSION,
    qalora_group_size: 16,
    r: tuning.r,
    rank_pattern: tuning.rank_pattern ?? {},
    revision: base.revision,
    target_modules: [...tuning.target_modules].sort(),
    target_parameters: tuning.target_parameters ?? null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_dora: tuning.use_dora ?? false,
    use_qalora: false,
    use_rslora: tuning.use_rslora,
  };
}

/** Whether a field of a JSON file asks for nothing. */
export function isUnset(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
