/** JSON mode: `response_format` of chat completions, `text.format` of responses. */
import Type, { type Static } from 'typebox';
import { anyObject } from '../formats/any-object.ts';
import { Refusal } from '../formats/refusal.ts';
import { requireSchema } from './answer-schema.ts';
import { optional } from './request-fields.ts';

const MAX_NAME_LENGTH = 64;

const named = {
  name: Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH, pattern: '^[A-Za-z0-9_-]+$' }),
  description: optional(Type.String({ description: 'Has no effect.' })),
  schema: optional(anyObject('A JSON Schema of an object; left out: any object.')),
  strict: optional(Type.Boolean({ description: 'The answer conforms to the schema either way.' })),
};

const text = Type.Object({ type: Type.Literal('text') }, { additionalProperties: false, title: 'TextFormat' });
const jsonObject = Type.Object({ type: Type.Literal('json_object') }, { additionalProperties: false, title: 'JsonObjectFormat' });

/** Of chat completions: the schema is inside. */
export const ChatFormat = Type.Union([
  text,
  jsonObject,
  Type.Object(
    { type: Type.Literal('json_schema'), json_schema: Type.Object(named, { additionalProperties: false, title: 'JsonSchema' }) },
    { additionalProperties: false, title: 'JsonSchemaFormat' },
  ),
]);

/** Of responses: the schema is beside the type. */
export const ResponseFormat = Type.Union([
  text,
  jsonObject,
  Type.Object({ type: Type.Literal('json_schema'), ...named }, { additionalProperties: false, title: 'ResponseJsonSchemaFormat' }),
]);

type Format = Static<typeof ChatFormat> | Static<typeof ResponseFormat>;

const ANY_OBJECT = '{"type":"object","additionalProperties":true}';

/**
 * @param options.param  where the request has its format
 * @param options.hasTools  whether the template gets tools, whose calls are not JSON
 * @returns the JSON Schema that answers conform to, as text; null if they are free
 * @throws Refusal for a schema that cannot be kept
 */
export function jsonSchemaOf(format: Format | null | undefined, { param, hasTools }: { param: string; hasTools: boolean }): string | null {
  if (format == null || format.type === 'text') return null;
  if (hasTools)
    throw new Refusal('invalid_value', 'An answer in JSON calls no tools', {
      param,
      hint: 'Leave out the tools, set "tool_choice": "none", or leave out the format.',
    });
  if (format.type === 'json_object') return ANY_OBJECT;
  const [{ schema, strict }, place] = 'json_schema' in format ? [format.json_schema, `${param}.json_schema.schema`] : [format, `${param}.schema`];
  if (schema == null) return ANY_OBJECT;
  requireSchema(schema, { param: place, isStrict: strict === true });
  return JSON.stringify(schema);
}
