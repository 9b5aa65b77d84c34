import { Type } from 'typebox';

/** A schema that also accepts null. */
export const nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
