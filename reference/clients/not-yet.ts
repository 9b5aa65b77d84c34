/**
 * Rows that fail for a reason that is known. They are shown in the table with it, and one that passes fails the test until its mark is removed, so that
 * nothing stays here longer than it must. The key is the row's method, or its method and circumstance.
 */
const NOT_YET: Readonly<Record<string, string>> = {
  'files.content of a range of bytes': 'ranges are not served',
  'fineTuning.jobs.create from what another job shows': 'fields that the service writes are refused',
  'fineTuning.checkpoints.permissions.create': 'there is no sharing',
  'fineTuning.checkpoints.permissions.list': 'there is no sharing',
  'fineTuning.checkpoints.permissions.retrieve': 'there is no sharing',
  'fineTuning.checkpoints.permissions.delete': 'there is no sharing',
  'any method that is refused has message, type, param, code and the id of its request': 'answers have no x-request-id',
  'any method gives the id of its request': 'answers have no x-request-id',
  'any method without /v1 in its address is told so': 'the 404 does not say it',
};

export const notYet = (method: string, circumstance: string): string | undefined => NOT_YET[`${method} ${circumstance}`] ?? NOT_YET[method];
