/**
 * Asks the npm registry for known vulnerabilities of the packages that run in production: `npm run audit`. Fails for high and critical ones. A registry
 * without that service (most mirrors) is said so and does not fail: nothing was found out, which is not the same as nothing found.
 */
import { spawnSync } from 'node:child_process';

const { stdout, stderr } = spawnSync('npm', ['audit', '--omit=dev', '--json'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });

/** @returns {{ metadata?: { vulnerabilities?: Record<string, number> }, vulnerabilities?: Record<string, { severity: string, via: unknown[] }>, error?: object, message?: string } | null} */
function report() {
  try {
    return JSON.parse(stdout);
  } catch {
    return null;
  }
}

const found = report();
const counts = found?.metadata?.vulnerabilities;
if (counts === undefined) {
  const why = found?.message ?? stderr.trim().split('\n')[0] ?? 'no answer';
  console.log(`AUDIT NOT DONE: this npm registry does not tell known vulnerabilities (${why}).`);
} else {
  const list = Object.entries(found?.vulnerabilities ?? {});
  for (const [name, { severity }] of list) console.log(`${severity}: ${name}`);
  console.log(
    `audit: ${Object.entries(counts)
      .map(([severity, count]) => `${count} ${severity}`)
      .join(', ')}`,
  );
  if ((counts['high'] ?? 0) + (counts['critical'] ?? 0) > 0) process.exitCode = 1;
}
