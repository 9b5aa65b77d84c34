/**
 * @param labels in any case
 * @returns the label that a text contains as whole words, ignoring case; null if it contains none or several
 */
export function labelIn(text: string, labels: readonly string[]): string | null {
  const words = text.toLowerCase();
  const found = labels.filter((label) => hasWord(words, label.toLowerCase()));
  // "not spam" is found where "spam" is: the longer one is meant.
  const meant = found.filter((label) => !found.some((longer) => longer !== label && hasWord(longer.toLowerCase(), label.toLowerCase())));
  return meant.length === 1 ? meant[0]! : null;
}

const isPartOfWord = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}_]/u.test(character);

function hasWord(text: string, word: string): boolean {
  for (let start = text.indexOf(word); start !== -1; start = text.indexOf(word, start + 1))
    if (!isPartOfWord(text[start - 1]) && !isPartOfWord(text[start + word.length])) return true;
  return false;
}
