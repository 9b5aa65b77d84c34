import type { DestinationStream } from 'pino';
import type { LogFormat } from './config.ts';

/**
 * Where the log goes in that format; undefined: to standard output as it is.
 * A library makes the lines for readers. It is loaded only then, and writes at once, so that a process that ends has written its last line.
 */
export async function logDestination(format: LogFormat): Promise<DestinationStream | undefined> {
  if (format === 'json') return undefined;
  const { default: pretty } = await import('pino-pretty');
  return pretty({ sync: true, singleLine: true, colorize: process.stdout.isTTY === true, translateTime: 'SYS:HH:MM:ss', ignore: 'pid,hostname' });
}
