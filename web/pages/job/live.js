import { useEffect, useRef, useState } from 'preact/hooks';
import { get } from '../../api/client.js';
import { followEvents } from '../../api/events.js';
import { announce } from '../../lib/announce.js';

/** @typedef {import('../../api/types.d.ts').JobEvent} JobEvent */
/** @typedef {import('../../api/types.d.ts').StepMetrics} StepMetrics */
/** @typedef {import('../../api/types.d.ts').List<StepMetrics>} MetricsList */

/** A job can take many steps in a second; their numbers are read no more often than this. */
const READ_EVERY_MS = 700;
const POINTS = 1_000;

/** The numbers of as many steps as a screen has room for. @param {string} id @param {{ after?: number, signal?: AbortSignal }} [options] @returns {Promise<StepMetrics[]>} */
export async function loadSteps(id, { after = 0, signal } = {}) {
  /** @type {StepMetrics[]} */
  const rows = [];
  for (;;) {
    const from = rows.at(-1)?.step ?? after;
    const page = /** @type {MetricsList} */ (
      await get(`/fine_tuning/jobs/${encodeURIComponent(id)}/metrics?points=${POINTS}&after_step=${from}`, signal ? { signal } : {})
    );
    rows.push(...page.data);
    if (!page.has_more) return rows;
  }
}

/** What a job tells while it runs: its events as they happen, and with them its curves. @param {string} id @param {() => void} onNews */
export function useLiveJob(id, onNews) {
  const [events, setEvents] = useState(/** @type {JobEvent[]} */ ([]));
  const [steps, setSteps] = useState(/** @type {StepMetrics[]} */ ([]));
  const told = useRef(onNews);
  told.current = onNews;

  useEffect(() => {
    const closing = new AbortController();
    const { signal } = closing;
    let last = 0;
    let isReading = false;
    let isStale = true;
    const read = async () => {
      isStale = true;
      if (isReading) return;
      isReading = true;
      while (isStale && !signal.aborted) {
        isStale = false;
        const fresh = await loadSteps(id, { after: last, signal }).catch(() => []); // the stream says when there is more, or when it is back
        last = fresh.at(-1)?.step ?? last;
        if (fresh.length > 0) setSteps((known) => [...known, ...fresh]);
        await new Promise((resolve) => setTimeout(resolve, READ_EVERY_MS));
      }
      isReading = false;
    };
    void read();
    followEvents(id, {
      signal,
      onEvents(fresh) {
        setEvents((known) => [...known, ...fresh]);
        if (fresh.some(({ type }) => type === 'metrics')) void read();
        told.current();
      },
      onEnd: () => void read(),
    }).catch((error) => announce(error.message, { isError: true }));
    return () => closing.abort();
  }, [id]);

  return { events, steps };
}
