import type { ObjectiveFormat } from './format.ts';

export const supervisedFormat: ObjectiveFormat = {
  examples: ['supervised', 'distilled'],
  learningRateScale: 1,
  properties: {},
  resolve: () => ({}),
  check: () => {},
};
