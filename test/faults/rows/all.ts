import type { Fault } from '../fault.ts';
import { besideFaults } from './beside.ts';
import { checkpointFaults } from './checkpoints.ts';
import { loadFaults } from './load.ts';
import { processFaults } from './processes.ts';
import { serverFaults } from './servers.ts';
import { storageFaults } from './storage.ts';
import { userFaults } from './users.ts';

/** The rows of the table, in its order. */
export const faults: readonly Fault[] = [
  ...processFaults,
  ...serverFaults,
  ...checkpointFaults,
  ...storageFaults,
  ...userFaults,
  ...loadFaults,
  ...besideFaults,
];
