/** Sweeps and their jobs, in words. Pure. */

/** @typedef {import('../api/types.d.ts').Sweep} Sweep */
/** @typedef {import('../api/types.d.ts').Trial} Trial */

/** @param {Pick<Sweep, 'name' | 'id'>} sweep */
export const sweepName = ({ name, id }) => name ?? id;

/** @param {Pick<Sweep, 'status'>} sweep */
export const isOpen = ({ status }) => status === 'running';

/** The last part of a path says what it is of. @param {string} path */
export const fieldName = (path) => path.split('.').at(-1) ?? path;

/** @param {unknown} value */
export const shownValue = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** `learning_rate 0.0001, r 8` @param {Pick<Trial, 'values'>} trial */
export const trialName = ({ values }) =>
  Object.entries(values)
    .map(([path, value]) => `${fieldName(path)} ${shownValue(value)}`)
    .join(', ');

/** The best first, then those that have no value yet. @param {readonly Trial[]} trials @param {Sweep['mode']} mode */
export function ranked(trials, mode) {
  const sign = mode === 'max' ? -1 : 1;
  const place = (/** @type {Trial} */ { metric }) => (metric === null ? Number.POSITIVE_INFINITY : sign * metric.value);
  return trials.toSorted((a, b) => place(a) - place(b) || a.index - b.index);
}
