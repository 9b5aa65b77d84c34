import { Refusal } from './refusal.ts';

export type ExampleFile = 'training_file' | 'validation_file' | 'evaluation_file' | 'retention_file';

/** @returns the error that both the formats and the engine throw for a problem in a file of examples */
export function exampleError(param: ExampleFile, message: string, hint?: string): Refusal {
  return new Refusal(`invalid_${param}`, message, { param, ...(hint === undefined ? {} : { hint }) });
}

/** Where in an example something is wrong. */
export interface ExamplePlace {
  /** From 1. */
  line: number;
  /** Which message of the conversation, from 1. */
  message?: number;
  /** The key at fault. */
  field?: string;
}

/** Thrown for a line of a dataset that is no example. */
export class ExampleRefusal extends Refusal {
  readonly place: ExamplePlace;

  constructor(param: ExampleFile, problem: string, { hint, ...place }: ExamplePlace & { hint?: string | undefined }) {
    super(`invalid_${param}`, problem, { param, hint: hint ?? null });
    this.place = place;
  }
}
