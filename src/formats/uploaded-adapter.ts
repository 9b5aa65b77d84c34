import { Type } from 'typebox';
import type { HashedFile } from './hashed-file.ts';
import { isRecord } from './record.ts';
import { Refusal } from './refusal.ts';
import { deliveredBy, TUNING_TYPES, type Tuning, tuningSchema } from './tuning/tuning.ts';

/** In a job's request. */
export const AdapterFile = Type.String({
  minLength: 1,
  description:
    'The id of an uploaded PEFT adapter of the model (a tar of its directory, purpose `fine-tune`), which the job continues: its values, with a fresh optimizer and schedule.',
});

/** A PEFT adapter directory that was uploaded as a tar, as it was found when the file was read. */
export interface UploadedAdapter {
  /** adapter_config.json */
  config: Record<string, unknown>;
  /** Shapes of the tensors, by name. */
  tensors: Record<string, number[]>;
  /** What is used of it, with paths inside the tar. */
  files: HashedFile[];
}

/** Fields that say how a new adapter begins, which mean nothing for one that exists already. */
const OF_NEW_ADAPTERS = ['init_lora_weights'];

/**
 * The tuning that continues an adapter, in the fields that a job can ask for. Whether anything else in its configuration changes the maths is known to who
 * trains it, and refused there.
 * @throws Refusal for a kind of adapter that no method trains
 */
export function tuningOfAdapter({ config }: UploadedAdapter, param: string): Tuning {
  // PROMPT_TUNING is `prompt` here.
  const name = String(config['peft_type'])
    .toLowerCase()
    .replace(/_tuning$/, '');
  const type = TUNING_TYPES.find((one) => one === name);
  if (type === undefined || deliveredBy(type) !== 'adapter')
    throw new Refusal('unsupported_adapter', `The adapter's peft_type is ${JSON.stringify(config['peft_type'] ?? null)}, which cannot be continued`, {
      param,
      hint: `Supported are adapters of the methods ${TUNING_TYPES.filter((one) => deliveredBy(one) === 'adapter').join(', ')}.`,
    });
  const { properties } = tuningSchema(type) as { properties?: Record<string, unknown> };
  const fields = Object.keys(properties ?? {}).filter((field) => field !== 'type' && !OF_NEW_ADAPTERS.includes(field) && isSet(config[field]));
  return { type, ...Object.fromEntries(fields.map((field) => [field, config[field]])) } as Tuning;
}

/** PEFT writes every field, most of them empty. */
const isSet = (value: unknown): boolean => value != null && !(isRecord(value) && Object.keys(value).length === 0);
