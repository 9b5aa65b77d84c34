/** A number with its noun, for messages: `1 example`, `12,000 examples`. @param noun in the singular; its plural must end in s */
export const quantity = (number: number, noun: string): string => `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`;
