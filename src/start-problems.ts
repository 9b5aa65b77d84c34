/** Says of what fails outside the service which setting it has to do with, and what to do. */
import type { Config } from './config.ts';

/** @returns what to throw for an error of `listen` */
export function listenProblem(error: NodeJS.ErrnoException, { host, port }: Pick<Config, 'host' | 'port'>): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new Error(
        `Port ${port} of ${host} is in use, by another Graft or another program. Stop that, or choose another port, such as PORT=${port + 1}.`,
      );
    case 'EACCES':
      return new Error(`This user may not listen on port ${port}. Choose one from 1024 on with PORT.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new Error(
        `HOST is "${host}", which is no address of this machine. Use 127.0.0.1 for this machine alone, or 0.0.0.0 for all its addresses.`,
      );
    default:
      return error;
  }
}

/** @returns what to throw for the first error of the database */
export function databaseProblem(error: Error, { databaseUrl }: Pick<Config, 'databaseUrl'>): Error {
  if (databaseUrl === null) return error;
  return new Error(
    `The database at ${hostOf(databaseUrl)}, which DATABASE_URL names, cannot be used: ${reasonOf(error)}. ` +
      'Start it, or correct DATABASE_URL; without DATABASE_URL, Graft runs a private Postgres.',
  );
}

/** What the log says while Redis gives errors. The service goes on: whatever is only in Redis can be lost. */
export function redisProblem({ redisUrl }: Pick<Config, 'redisUrl'>): string {
  const where = redisUrl === null ? 'The private Valkey' : `Redis at ${hostOf(redisUrl)}, which REDIS_URL names,`;
  return `${where} cannot be used: new jobs wait until it can`;
}

/** Without user and password; a socket is its path. */
function hostOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { host, searchParams } = new URL(url);
  return searchParams.get('host') ?? host;
}

/** Where a name has several addresses, what went wrong with each of them. */
const reasonOf = (error: Error): string =>
  error instanceof AggregateError ? error.errors.map(({ message }: Error) => message).join(', ') : error.message;
