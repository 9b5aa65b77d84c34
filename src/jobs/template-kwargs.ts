import { jsonText } from '../formats/json-text.ts';
import { isJsonObject, type JsonObject, parseJsonValue } from '../formats/json-value.ts';
import type { ObjectiveName } from '../formats/objectives/objectives.ts';
import { Refusal } from '../formats/refusal.ts';
import { reservedKwarg } from '../formats/template-kwargs.ts';

const NAME = 'chat_template_kwargs';
/** As JSON text: room for a list of documents, and far from what a row should hold. */
const MAX_LENGTH = 64 * 1024;

/**
 * The chat template's variables as the request's body has them: a template that prints 1.0 or a long integer prints it so.
 * @param bodyText the body, which is valid
 * @param objective of the job
 * @returns null if it has none
 * @throws Refusal
 */
export function templateKwargs(bodyText: string, objective: ObjectiveName): JsonObject | null {
  const param = `method.${objective}.${NAME}`;
  if (!bodyText.includes(NAME)) return null; // most bodies; JSON.parse has read them already
  const kwargs = ['method', objective, NAME].reduce<unknown>(
    (value, key) => (isJsonObject(value) ? value.get(key) : undefined),
    parsed(bodyText, param),
  );
  if (!isJsonObject(kwargs)) return null;
  const reserved = reservedKwarg(kwargs.keys());
  if (reserved !== null)
    throw new Refusal('invalid_value', `${NAME} has "${reserved}", which is not a variable of the template`, {
      param: `${param}.${reserved}`,
      hint: 'Graft gives the template the messages and tools of each line itself.',
    });
  const { length } = jsonText(kwargs);
  if (length > MAX_LENGTH) throw new Refusal('invalid_value', `${NAME} has ${length} characters as JSON; the limit is ${MAX_LENGTH}`, { param });
  return kwargs;
}

function parsed(bodyText: string, param: string): unknown {
  try {
    return parseJsonValue(bodyText);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new Refusal('invalid_value', `${NAME} cannot be read: ${error.message}`, { param });
  }
}
