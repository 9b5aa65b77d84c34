import { Type } from 'typebox';

/** A hyperparameter for which `auto` leaves the choice to the service. */
export const orAuto = <T extends Type.TSchema>(schema: T, description: string) =>
  Type.Optional(Type.Union([Type.Literal('auto'), schema], { description }));

/** @returns undefined where the choice is left to the service */
export const explicit = <T extends number | string>(value: T | 'auto' | undefined): T | undefined => (value === 'auto' ? undefined : value);
