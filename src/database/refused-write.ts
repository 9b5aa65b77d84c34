/** Prisma's codes for a database that does not answer, or not now: a retry may succeed. */
const TRANSIENT = /^P(10(01|02|08|17|11)|2024|2028|2034|2037)$/;
/** SQL states of the same kind, which the adapter passes on: connection lost, out of resources, stopped by the operator, conflict of transactions. */
const TRANSIENT_STATE = /^(08|53|57|40|55|25)/;

/** How pg's own errors begin when a connection is cut or silent. They have neither a code nor a name, and Prisma passes them on as they are. */
const CUT =
  /^(Connection terminated|Query read timeout|timeout exceeded when trying to connect|Client (has encountered a connection error|was closed))/;

/** @returns whether the database did not answer, or not now */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return CUT.test(error.message) || (/^(PrismaClient|DriverAdapter)/.test(error.name) && !isRefusedByDatabase(error));
}

/** @returns whether the database refused what was written, so that the same write will never succeed */
export function isRefusedByDatabase(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === 'PrismaClientValidationError') return true;
  if (error.name !== 'PrismaClientKnownRequestError') return false;
  const { code, meta } = error as Error & { code?: string; meta?: { driverAdapterError?: { cause?: { originalCode?: string } } } };
  const state = meta?.driverAdapterError?.cause?.originalCode ?? code ?? '';
  return !TRANSIENT.test(code ?? '') && !TRANSIENT_STATE.test(state);
}
