/** The errors that the code under test refuses with. */
import { Refusal } from '../src/formats/refusal.ts';

/** @returns what `act` refuses with @throws its other errors, and an Error if it refuses nothing */
export function refusal(act: () => unknown): Refusal {
  try {
    act();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('not refused');
}
