import { Type } from 'typebox';

/** The schema of a number of things. */
export const count = (description: string) => Type.Integer({ minimum: 0, description });
