/** Who may read the numbers of the service, and where workers show theirs. */
export interface MonitoringConfig {
  /** Opens /metrics to those who send it, as `Authorization: Bearer KEY`; null: see access.ts. */
  metricsKey: string | null;
  /** Where a worker answers /metrics; null: nowhere. The workers that `npm start` runs take this port and those after it. */
  workerPort: number | null;
}
