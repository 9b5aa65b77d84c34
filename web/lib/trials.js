/** How many jobs a sweep makes, and when they are compared. Pure. */
import { quantity } from './format.js';

/** @typedef {import('./search.js').SweepRequest['search']} Search */

/** Of one sweep, as the API takes them. */
export const MOST_JOBS = 1_000;
const DEFAULT_ETA = 3;

/** How many combinations the values have; null: a range has any number of them. @param {Search} search @returns {number | null} */
export const combinationsOf = ({ parameters }) =>
  Object.values(parameters).reduce(
    (/** @type {number | null} */ product, values) => (product !== null && Array.isArray(values) ? product * values.length : null),
    1,
  );

/** @param {unknown} value */
const isCount = (value) => Number.isInteger(value) && Number(value) > 0;

/** How many jobs a search makes; null: it does not say so yet, or cannot be. @param {Search} search @returns {number | null} */
export function jobsOf(search) {
  const combinations = combinationsOf(search);
  const { strategy, n } = search;
  if (strategy === 'grid' || (strategy === 'successive_halving' && n === undefined)) return combinations;
  return isCount(n) && (combinations === null || Number(n) <= combinations) ? Number(n) : null;
}

/** In a sentence, how it comes to its jobs, or what is missing. @param {Search} search */
export function jobsInWords(search) {
  const { strategy, n } = search;
  const combinations = combinationsOf(search);
  const sizes = Object.values(search.parameters).map((values) => (Array.isArray(values) ? values.length : 0));
  const product = sizes.length > 1 ? `${sizes.join(' × ')} values: every combination.` : 'One for each value.';
  if (combinations === 0) return 'A field has no values yet.';
  if (strategy === 'grid') return combinations === null ? 'A range has no grid: list its values, or draw from it.' : product;
  if (n === undefined && strategy === 'successive_halving') return combinations === null ? 'With a range, say how many are drawn.' : product;
  if (!isCount(n)) return 'Say how many are drawn.';
  if (combinations === null) return 'Drawn from lists and ranges.';
  return Number(n) > combinations ? `There are only ${quantity(combinations, 'combination')}.` : `Drawn of ${quantity(combinations, 'combination')}.`;
}

/** How many jobs train up to which step: the comparisons of successive halving. The last one trains to its end. @param {Search} search @returns {{ jobs: number, step: number }[]} */
export function rungsOf(search) {
  const { strategy, min_steps: minSteps, eta = DEFAULT_ETA } = search;
  const rungs = [];
  if (strategy !== 'successive_halving' || !isCount(minSteps) || !isCount(eta) || Number(eta) < 2) return [];
  let jobs = jobsOf(search) ?? 1;
  for (let step = Number(minSteps); jobs > 1; step *= Number(eta)) {
    rungs.push({ jobs, step });
    jobs = Math.max(1, Math.floor(jobs / Number(eta)));
  }
  return rungs;
}
