/** @returns `read`, which remembers what it gave for the `most` keys that were asked for last. It is asked anew for all others */
export function remembering<Key, Value>(most: number, read: (key: Key) => Value): (key: Key) => Value {
  const kept = new Map<Key, Value>(); // oldest first
  return (key) => {
    const value = kept.has(key) ? (kept.get(key) as Value) : read(key);
    kept.delete(key);
    kept.set(key, value);
    const [oldest] = kept.keys();
    if (kept.size > most) kept.delete(oldest as Key);
    return value;
  };
}
