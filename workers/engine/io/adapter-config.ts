/** PEFT's `adapter_config.json`, in the fields of version 0.21. */
import { Refusal } from '../../../src/formats/refusal.ts';
import { ALL_LINEAR, type ResolvedLora } from '../../../src/formats/tuning/lora.ts';

export const PEFT_VERSION = '0.21.2';

/** Fields that do not affect the maths of a trained adapter. PEFT corrects `fan_in_fan_out` to match the layer. */
const DESCRIPTIVE = new Set([
  ...['auto_mapping', 'base_model_name_or_path', 'revision', 'inference_mode', 'peft_version', 'loftq_config', 'eva_config', 'corda_config'],
  ...[
    'fan_in_fan_out',
    'layers_pattern',
    'megatron_config',
    'megatron_core',
    'qalora_group_size',
    'runtime_config',
    'lora_ga_config',
    'ensure_weight_tying',
  ],
]);

/** Fields that are read below. */
const READ = new Set(['peft_type', 'task_type', 'r', 'lora_alpha', 'lora_dropout', 'target_modules', 'use_rslora', 'bias', 'init_lora_weights']);

/** Initialisations that leave the base model as it is; others (PiSSA, OLoRA, …) also change its weights. */
const PLAIN_INITIALISATIONS: unknown[] = [undefined, null, true, false, 'gaussian', 'orthogonal', 'eva', 'lora_ga'];

/**
 * @param where the file's path, for messages
 * @throws Refusal `unsupported_adapter` naming every field that asks for anything other than plain LoRA. An unknown field counts
 *   when it is set to anything but null, false or empty.
 */
export function parseAdapterConfig(json: unknown, where: string): ResolvedLora {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new Refusal('corrupt_model_file', `${where} is not a JSON object`, { param: 'model' });
  }
  const fields = json as Record<string, unknown>;
  const problems: string[] = [];
  const check = (field: string, ok: boolean): void => {
    if (!ok) problems.push(`${field} is ${JSON.stringify(fields[field]) ?? 'missing'}`);
  };
  const { peft_type: peftType, task_type: taskType, r, lora_alpha: alpha, lora_dropout: dropout, target_modules: targets } = fields;
  check('peft_type', peftType === 'LORA');
  check('task_type', taskType === 'CAUSAL_LM' || taskType === null || taskType === undefined);
  check('r', Number.isSafeInteger(r) && (r as number) > 0);
  check('lora_alpha', typeof alpha === 'number' && Number.isFinite(alpha));
  check('lora_dropout', dropout === undefined || (typeof dropout === 'number' && dropout >= 0 && dropout < 1));
  check('target_modules', targets === ALL_LINEAR || (Array.isArray(targets) && targets.every((name) => typeof name === 'string')));
  check('bias', (fields['bias'] ?? 'none') === 'none');
  check('init_lora_weights', PLAIN_INITIALISATIONS.includes(fields['init_lora_weights']));
  for (const [field, value] of Object.entries(fields)) if (!READ.has(field) && !DESCRIPTIVE.has(field)) check(field, isUnset(value));
  if (problems.length > 0) {
    throw new Refusal('unsupported_adapter', `${where}: ${problems.join('; ')}`, {
      param: 'model',
      hint: 'Only plain LoRA with one rank can be read: no DoRA, trained biases, saved modules, patterns or layer subsets.',
    });
  }
  return {
    type: 'lora',
    r: r as number,
    lora_alpha: alpha as number,
    lora_dropout: (dropout as number | undefined) ?? 0,
    target_modules: targets as ResolvedLora['target_modules'],
    use_rslora: fields['use_rslora'] === true,
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
    alpha_pattern: {},
    arrow_config: null,
    auto_mapping: null,
    base_model_name_or_path: base.name,
    bias: 'none',
    corda_config: null,
    ensure_weight_tying: false,
    eva_config: null,
    exclude_modules: null,
    fan_in_fan_out: base.inputFirst,
    inference_mode: true,
    init_lora_weights: true,
    layer_replication: null,
    layers_pattern: null,
    layers_to_transform: null,
    loftq_config: {},
    lora_alpha: tuning.lora_alpha,
    lora_bias: false,
    lora_dropout: tuning.lora_dropout,
    megatron_config: null,
    megatron_core: 'megatron.core',
    modules_to_save: null,
    peft_type: 'LORA',
    peft_version: PEFT_VERSION,
    qalora_group_size: 16,
    r: tuning.r,
    rank_pattern: {},
    revision: base.revision,
    target_modules: [...tuning.target_modules].sort(),
    target_parameters: null,
    task_type: 'CAUSAL_LM',
    trainable_token_indices: null,
    use_dora: false,
    use_qalora: false,
    use_rslora: tuning.use_rslora,
  };
}

function isUnset(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
