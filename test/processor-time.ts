/**
 * A stopwatch that shows the processor time of this process, in ms. A limit on it holds on a machine that others use too, where a clock shows any time.
 * @returns the time since this call
 */
export function processorStopwatch(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}
