import { ConfigFields } from './config-fields.ts';
import type { Family } from './families/family.ts';
import { gemma, gemma2, gemma3 } from './families/gemma.ts';
import { gemma4 } from './families/gemma4.ts';
import { glm4 } from './families/glm.ts';
import { gpt2, gptNeox } from './families/gpt.ts';
import { gptOss } from './families/gpt-oss.ts';
import { granite, granite4, graniteMoe, graniteMoeShared } from './families/granite.ts';
import { lfm2 } from './families/lfm2.ts';
import { llama, ministral, ministral3, mistral, phi3, qwen2, qwen3, smollm3 } from './families/llama.ts';
import { llama4 } from './families/llama4.ts';
import { mixtral, qwen3Moe } from './families/mixtures.ts';
import { gemma3Whole, gemma4Whole, mistral3, qwen3VlWhole, qwen35Whole } from './families/multimodal.ts';
import { olmo2, olmo3 } from './families/olmo.ts';
import { qwen3Next, qwen35 } from './families/qwen35.ts';
import { MATHS_FIELDS } from './maths-fields.ts';
import type { ModelConfig } from './model-config.ts';
import { isRecord } from './record.ts';
import { Refusal } from './refusal.ts';
import { shown } from './shown.ts';

/** Families by `model_type`. */
const FAMILIES: ReadonlyMap<unknown, Family> = new Map<unknown, Family>(
  Object.entries({
    ...{ llama, smollm3, mistral, ministral, ministral3, granite, granitemoehybrid: granite4, qwen2, qwen3, qwen3_5_text: qwen35 },
    ...{ gemma, gemma2, gemma3_text: gemma3, gemma4_text: gemma4, phi3, olmo2, olmo3, glm4, lfm2, gpt2, gpt_neox: gptNeox },
    ...{ gemma3: gemma3Whole, gemma4: gemma4Whole, mistral3, qwen3_vl: qwen3VlWhole, qwen3_5: qwen35Whole },
    ...{
      mixtral,
      granitemoe: graniteMoe,
      granitemoeshared: graniteMoeShared,
      qwen3_moe: qwen3Moe,
      qwen3_next: qwen3Next,
      gpt_oss: gptOss,
      llama4_text: llama4,
    },
  }),
);

/** Whether the decoder supports models of this `model_type`. */
export const isFamily = (modelType: string): boolean => FAMILIES.has(modelType);

/**
 * Reads a `config.json` as transformers 4 and 5 write it.
 * @param json  the parsed file
 * @param where its path, for messages
 * @throws Refusal `unsupported_architecture` if it requires maths that the decoder lacks; `corrupt_model_file` if a field is missing or invalid
 */
export function parseModelConfig(json: unknown, where: string): ModelConfig {
  if (!isRecord(json)) throw new Refusal('corrupt_model_file', `${where} is not a JSON object`, { param: 'model' });
  const hint = `Supported families: ${[...FAMILIES.keys()].join(', ')}, unquantised.`;
  const fields = new ConfigFields(json);
  const modelType = fields.value('model_type');
  const family = FAMILIES.get(modelType);
  if (family === undefined) {
    throw new Refusal('unsupported_architecture', `${where}: model_type is ${shown(modelType)}`, { param: 'model', hint });
  }
  const config = family(fields);
  fields.refuseUnread(MATHS_FIELDS);
  fields.finish(where, hint);
  return config;
}
