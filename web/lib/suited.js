import { OBJECTIVES } from './fields.js';

/** @typedef {import('../api/types.d.ts').FileValidation} FileValidation */

const oneOf = new Intl.ListFormat('en', { type: 'disjunction' });
/** @type {Record<import('./fields.js').Family, string>} */
const CALLED = {
  supervised: 'answers to learn',
  distilled: "answers with their teacher's log-probabilities",
  preference: 'pairs of a better and a worse answer',
  labelled: 'answers that are called good or bad',
};

/** What is wrong with a file for an objective; empty if nothing is. Pure. @param {FileValidation} found @param {string} objective */
export function unsuited({ examples }, objective) {
  const wanted = OBJECTIVES.find(({ type }) => type === objective);
  if (examples === null || wanted === undefined || Object.values(examples).every((amount) => amount === 0)) return '';
  /** @type {import('./fields.js').Family} */
  let family = 'supervised';
  if (examples.preference > 0) family = 'preference';
  else if ((examples.labelled ?? 0) > 0) family = 'labelled';
  else if ((examples.distilled ?? 0) > 0) family = 'distilled';
  if (wanted.examples.includes(family)) return '';
  const others = OBJECTIVES.filter((known) => known.examples.includes(family)).map(({ label }) => label);
  return `${wanted.label} learns from ${oneOf.format(wanted.examples.map((name) => CALLED[name]))}, and this file has ${CALLED[family]}. Choose ${oneOf.format(others)} as the objective, or another file.`;
}
