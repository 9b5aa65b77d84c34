/** Means over seeds, and how they are written. */
export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The mean, with the smallest and the largest if they are not all the same. */
export function shownWithRange(values: readonly number[], show: (value: number) => string): string {
  const [middle, least, most] = [mean(values), Math.min(...values), Math.max(...values)].map((value) => show(value));
  return least === most ? middle! : `${middle} (${least} to ${most})`;
}

export const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`;
export const points = (difference: number): string => `${difference < 0 ? '−' : '+'}${Math.abs(100 * difference).toFixed(1)} points`;
export const nats = (loss: number): string => (Math.round(1000 * loss) / 1000 + 0).toFixed(3).replace('-', '−');
export const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 2 : 0)} MiB`;
