/** Values of options, parsed. */
import { InvalidArgumentError } from 'commander';

/** A whole number from 1 on. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return value;
}

export function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It must be a number.');
  return value;
}

/** For options that may be repeated. */
export const collect = (value: string, before: string[]): string[] => [...before, value];

/** @throws InvalidArgumentError */
export function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be KEY=VALUE.');
  return [text.slice(0, at), text.slice(at + 1)];
}

/** For options `key=value` that may be repeated. */
export const collectPairs = (text: string, before: Record<string, string>): Record<string, string> => {
  const [key, value] = pair(text);
  return { ...before, [key]: value };
};
