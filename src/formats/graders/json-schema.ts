import { Ajv2020 } from 'ajv/dist/2020.js';
import { Refusal } from '../refusal.ts';
import { inLimitedTime } from './limited-time.ts';

/** Characters of a schema as JSON: as long as the other texts of a grader. */
const MAX_LENGTH = 16 * 1024;

/**
 * @param schema JSON Schema (draft 2020-12); `format` is not checked, as the draft has it
 * @returns whether a text is JSON that the schema accepts
 * @throws Refusal
 */
export function jsonSchemaCheck(schema: Readonly<Record<string, unknown>>, param: string): (text: string) => boolean {
  const accepts = compiled(schema, param);
  const limited = inLimitedTime('the schema', (value: unknown) => accepts(value));
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return false;
    }
    return limited(value);
  };
}

function compiled({ $schema: _, ...schema }: Readonly<Record<string, unknown>>, param: string): (value: unknown) => boolean {
  const { length } = JSON.stringify(schema);
  if (length > MAX_LENGTH) throw new Refusal('invalid_value', `The schema has ${length} characters; the limit is ${MAX_LENGTH}`, { param });
  // References stay calls: copied into each other, a few lines could become gigabytes of code.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, inlineRefs: false, logger: false });
  try {
    const validate = ajv.compile(schema);
    return (value) => validate(value) as boolean;
  } catch (error) {
    throw new Refusal('invalid_value', `The schema cannot be used: ${(error as Error).message}`, {
      param,
      hint: 'Give a JSON Schema of draft 2020-12 without references to other documents.',
    });
  }
}
