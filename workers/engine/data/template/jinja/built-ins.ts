/** The filters and tests that every template has. */
import type { Environment } from './environment.ts';
import { NUMBER_FILTERS } from './number-filters.ts';
import { SELECTION_FILTERS } from './selection-filters.ts';
import { SEQUENCE_FILTERS } from './sequence-filters.ts';
import { TESTS } from './tests.ts';
import { TEXT_FILTERS } from './text-filters.ts';

export const ENVIRONMENT: Environment = {
  filters: new Map([...TEXT_FILTERS, ...NUMBER_FILTERS, ...SEQUENCE_FILTERS, ...SELECTION_FILTERS]),
  tests: TESTS,
};
