/** Feeds one parser the inputs `from` to `to` of a seed, and prints findings as lines of JSON. Ended from outside or by its watchdog when an input hangs. */
import { parseArgs } from 'node:util';
import { seededRandom } from '../random.ts';
import { targets } from './targets/all.ts';
import { startWatchdog } from './watchdog.ts';

/** Of an input, in a finding. */
const SHOWN = 400;
/** Of a message: longer ones fill logs and rows. */
const LONGEST_MESSAGE = 16 * 1024;
const DEFAULT_LIMIT_SECONDS = 5;

export type ChildLine =
  | { finding: 'crash' | 'long message'; index: number; message: string; input: string }
  | { done: true; accepted: number; refused: number; memoryMb: { early: number; late: number } };

const { values: options } = parseArgs({
  options: { name: { type: 'string' }, from: { type: 'string' }, to: { type: 'string' }, seed: { type: 'string' } },
});
const target = targets.find(({ name }) => name === options.name);
if (target === undefined) throw new Error(`there is no parser "${options.name}"`);
const [from, to, seed] = [Number(options.from), Number(options.to), Number(options.seed)];
const print = (line: ChildLine): boolean => process.stdout.write(`${JSON.stringify(line)}\n`);

const usedMb = (): number => {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

const parser = await target.open();
const watchdog = startWatchdog(target.limitSeconds ?? DEFAULT_LIMIT_SECONDS);
let [accepted, refused] = [0, 0];
let early = usedMb();
for (let index = from; index <= to; index++) {
  // What the first inputs leave in caches is no growth.
  if (index === from + Math.floor((to - from) / 4)) early = usedMb();
  watchdog.begin(index);
  const input = parser.make(seededRandom(Math.imul(seed, 1_000_003) + index));
  try {
    await parser.read(input);
    accepted++;
  } catch (error) {
    refused++;
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const finding = !parser.isRefusal(error) ? 'crash' : message.length > LONGEST_MESSAGE ? 'long message' : null;
    if (finding !== null) print({ finding, index, message: message.slice(0, SHOWN), input: shown(input) });
  }
}
watchdog.begin(0);
const late = usedMb();
await parser.close?.();
print({ done: true, accepted, refused, memoryMb: { early, late } });
process.exit(0);

function shown(input: string | Uint8Array): string {
  return typeof input === 'string' ? input.slice(0, SHOWN) : Buffer.from(input).toString('latin1').slice(0, SHOWN);
}
