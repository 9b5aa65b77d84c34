import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { useStore } from '../lib/store.js';
import { connection, Unreachable } from './client.js';

/**
 * Something that is read from the API, again every so often, and again when the service has come back.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} load
 * @param {unknown[]} inputs what `load` depends on; with others, what was read before is forgotten
 * @param {{ everyMs?: number | null }} [options] null: read once
 * @returns {{ data: T | null, error: Error | null, reload: () => void, set: (data: T) => void }}
 */
export function useResource(load, inputs, { everyMs = null } = {}) {
  const [state, setState] = useState(/** @type {{ data: T | null, error: Error | null }} */ ({ data: null, error: null }));
  const [round, setRound] = useState(0);
  const { isOnline, recoveries } = useStore(connection);
  const loading = useRef(load);
  loading.current = load;

  useEffect(() => setState({ data: null, error: null }), inputs);
  useEffect(() => {
    const ended = new AbortController();
    loading.current(ended.signal).then(
      (data) => !ended.signal.aborted && setState({ data, error: null }),
      // What was read before is still the newest that is known.
      (error) => !ended.signal.aborted && setState(({ data }) => ({ data, error: error instanceof Unreachable && data !== null ? null : error })),
    );
    return () => ended.abort();
  }, [...inputs, round, recoveries]);

  const reload = useCallback(() => setRound((count) => count + 1), []);
  useEffect(() => {
    if (everyMs === null || !isOnline) return;
    const timer = setInterval(() => !document.hidden && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, isOnline, reload]);

  return { ...state, reload, set: (data) => setState({ data, error: null }) };
}
