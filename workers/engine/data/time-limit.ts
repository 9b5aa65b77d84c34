/** Waits for work in another thread, but not for ever. */

interface LimitedWork {
  limitMs: number;
  /** Makes the error. */
  tooSlow(): Error;
}

/** Share of the limit that this process must have computed: one that was stopped, or had to wait for others, is not too slow. */
const MIN_COMPUTED = 0.5;

/** @throws what the work throws, or `tooSlow()`; the work then runs until its process ends */
export async function withinTime<T>(work: Promise<T>, { limitMs, tooSlow }: LimitedWork): Promise<T> {
  const startedUsage = process.cpuUsage();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const look = () => {
      const { user, system } = process.cpuUsage(startedUsage);
      if ((user + system) / 1000 >= MIN_COMPUTED * limitMs) reject(tooSlow());
      else timer = setTimeout(look, limitMs);
    };
    timer = setTimeout(look, limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
