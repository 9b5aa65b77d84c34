import { Type } from 'typebox';

/** An object whose keys depend on what it is of, as in an answer. */
export const anyObject = (description: string) => Type.Unsafe<object>({ type: 'object', additionalProperties: true, description });
