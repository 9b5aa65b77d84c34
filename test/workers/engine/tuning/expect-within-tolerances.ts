import { expect } from 'vitest';
import { type Differences, TOLERANCES } from '../../../../reference/measures.ts';

export function expectWithinTolerances(differences: Differences): void {
  for (const [what, allowed] of Object.entries(TOLERANCES)) expect(differences[what as keyof typeof TOLERANCES], what).toBeLessThanOrEqual(allowed);
}
