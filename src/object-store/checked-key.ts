/**
 * A key is made of plain path segments, so that it means the same in a directory and in a bucket and never leaves either.
 * @throws Error for an absolute key, an empty, hidden or `..` segment, a backslash or a NUL
 */
export function checkedKey(key: string): string {
  if (key.split('/').some((segment) => segment === '' || segment.startsWith('.')) || /[\\\0]/.test(key)) throw badKey(key);
  return key;
}

/** @param prefix the beginning of a key; one that ends in `/` names a folder. Empty means everything. */
export function checkedPrefix(prefix: string): string {
  if (prefix !== '') checkedKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
  return prefix;
}

/** Deleting everything by an empty prefix is never meant. */
export function checkedFolder(prefix: string): string {
  if (!prefix.endsWith('/')) throw new Error(`"${prefix}" does not name a folder of the object store: it ends with /`);
  return checkedPrefix(prefix);
}

const badKey = (key: string) =>
  new Error(`${JSON.stringify(key)} is no key of the object store: segments between single slashes, none empty or beginning with a dot`);
