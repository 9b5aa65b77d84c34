/**
 * A key consists of plain path segments, so that it means the same in a directory and in a bucket and cannot escape from either.
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

/** Refuses an empty prefix: deleting everything is never intended. */
export function checkedFolder(prefix: string): string {
  if (!prefix.endsWith('/')) throw new Error(`"${prefix}" is not a folder of the object store: it must end with /`);
  return checkedPrefix(prefix);
}

const badKey = (key: string) =>
  new Error(`${JSON.stringify(key)} is not a valid object key: segments between single slashes must not be empty or begin with a dot`);
