/** Numbers and times as people read them. */

/** @param {number} value */
export const number = (value) => value.toLocaleString('en', { maximumFractionDigits: 2 });

/** Few digits, whatever the size. @param {number} value */
export function short(value) {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size < 0.001) return value.toExponential(2);
  if (size < 1) return String(Number(value.toPrecision(3)));
  if (size < 1000) return String(Number(value.toPrecision(4)));
  return count(value);
}

const LARGE = /** @type {const} */ ([
  [1e12, 'T'],
  [1e9, 'B'],
  [1e6, 'M'],
  [1e3, 'k'],
]);

/** 4,206,592 is 4.21M. @param {number} value */
export function count(value) {
  const [size, letter] = LARGE.find(([least]) => Math.abs(value) >= least) ?? [1, ''];
  return `${Number((value / size).toPrecision(3))}${letter}`;
}

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

/** @param {number} value */
export function bytes(value) {
  const power = Math.min(BYTE_UNITS.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${BYTE_UNITS[power]}`;
}

/** @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min${minutes < 10 && whole % 60 > 0 ? ` ${whole % 60} s` : ''}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** @param {number} unixSeconds */
export function ago(unixSeconds) {
  const seconds = Date.now() / 1000 - unixSeconds;
  if (seconds < 10) return 'just now';
  return `${duration(seconds >= 3600 ? Math.floor(seconds / 3600) * 3600 : seconds >= 60 ? Math.floor(seconds / 60) * 60 : seconds).replace(/ 0 (min|s)$/, '')} ago`;
}

/** @param {number} unixSeconds */
export const time = (unixSeconds) => new Date(unixSeconds * 1000).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

/** @param {number} unixSeconds */
export const clock = (unixSeconds) => new Date(unixSeconds * 1000).toLocaleTimeString('en-GB');

/** @param {number} amount @param {string} noun */
export const quantity = (amount, noun) => `${amount.toLocaleString('en')} ${noun}${amount === 1 ? '' : 's'}`;
