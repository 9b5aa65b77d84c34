/** The log of a process: JSON lines without secrets, of bounded length. */
import pino, { type DestinationStream, type Logger } from 'pino';
import { redacted } from './formats/secrets.ts';
import { cut } from './formats/shown.ts';

/** A longer line is shortened text by text; the longest that the service writes itself has the last output of a training process. */
const MAX_LINE = 32 * 1024;
const MAX_TEXT = 4_000;
const MAX_ITEMS = 100;

/**
 * @param destination default: standard output, without waiting for whoever reads it: a slow reader must not hold up requests. What is left is written when
 *   the process exits
 */
export function openLog(level: string, destination: DestinationStream = pino.destination({ dest: 1, sync: false })): Logger {
  return pino({ level, serializers: { err: errorOf }, hooks: { streamWrite: presentable } }, destination);
}

/** Ends the process on an error that nobody handles, as Node does, but through the log: Node would print what clients attach to errors. */
export function logUnhandledErrors(log: Logger): void {
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'an error that nobody handles ends the process');
    process.exit(1);
  });
}

/** pino's own, without what clients attach to an error: the command that Redis refused has the password, and a malformed URL is there as it was given. */
function errorOf(error: Error): object {
  const { command, input, ...rest } = pino.stdSerializers.err(error) as pino.SerializedError & { command?: unknown; input?: unknown };
  return rest;
}

/** @param line one JSON object and a line feed */
function presentable(line: string): string {
  if (line.length <= MAX_LINE && redacted(line) === line) return line;
  return `${JSON.stringify(shortened(JSON.parse(line)))}\n`;
}

function shortened(value: unknown): unknown {
  if (typeof value === 'string') return cut(redacted(value), MAX_TEXT);
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map(shortened);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ITEMS)
      .map(([key, item]) => [key, shortened(item)]),
  );
}
