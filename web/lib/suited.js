import { OBJECTIVES } from './fields.js';

/** @typedef {import('../api/types.d.ts').FileValidation} FileValidation */

const oneOf = new Intl.ListFormat('en', { type: 'disjunction' });
/** @type {Record<import('./fields.js').Family, string>} */
const CALLED = {
  supervised: 'answers to learn',
  preference: 'pairs of a better and a worse answer',
  labelled: 'answers that are called good or bad',
};

/** What is wrong with a file for an objective; empty if nothing is. Pure. @param {FileValidation} found @param {string} objective */
export function unsuited({ examples }, objective) {
  const wanted = OBJECTIVES.find(({ type }) => type === objective);
  if (examples === null || wanted === undefined || Object.values(examples).every((amount) => amount === 0)) return '';
  const family = examples.preference > 0 ? 'preference' : (examples.labelled ?? 0) > 0 ? 'labelled' : 'supervised';
  if (wanted.examples.includes(family)) return '';
  const others = OBJECTIVES.filter((known) => known.examples.includes(family)).map(({ label }) => label);
  return `${wanted.label} learns from ${oneOf.format(wanted.examples.map((name) => CALLED[name]))}, and this file has ${CALLED[family]}. Choose ${oneOf.format(others)} as the objective, or another file.`;
}
