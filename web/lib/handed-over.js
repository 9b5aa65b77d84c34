/** @typedef {import('./draft.js').Draft} Draft */

/** A draft on its way from the form of a job to that of a sweep. @type {Draft | null} */
let held = null;

/** @param {Draft} draft */
export const handOver = (draft) => {
  held = draft;
};

/** @returns {Draft | null} the draft, once */
export function takeOver() {
  const taken = held;
  held = null;
  return taken;
}
