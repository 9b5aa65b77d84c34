/** The numbers of the whole service as metrics. Every API process shows the same ones. */
import { Counter, Gauge, Registry } from 'prom-client';
import { jobStatuses } from '../jobs/state.ts';
import type { Services } from '../services.ts';
import { deliveryStatuses } from '../webhooks/delivery-store.ts';
import { askComponents, COMPONENTS } from './components.ts';
import type { Totals } from './totals-store.ts';

const AGGREGATES = ['min', 'mean', 'max'] as const;
/** Always shown, also with 0: an alert on a series that is absent does not fire. */
const REASONS = ['slot', 'base_model', 'worker', 'quota', 'object_store', 'database', 'disk', 'model_hub'];

type Needs = Parameters<typeof askComponents>[0] & Pick<Services, 'totals'>;

/** Reads everything anew. @returns the text format of Prometheus. What Postgres does not answer is left out */
export async function totalsAsText(services: Needs): Promise<string> {
  const [missing, totals] = await Promise.all([
    askComponents(services),
    services.totals.read().catch((error: unknown) => {
      services.log.warn({ err: error }, 'the numbers of the service could not be read');
      return null;
    }),
  ]);
  const registry = new Registry();
  const up = COMPONENTS.map((component) => ({ label: component, value: component in missing ? 0 : 1 }));
  show(registry, 'graft_component_up', 'Whether a component answers, or a base model is there: 1 or 0.', 'component', up);
  if (totals !== null) showTotals(registry, totals);
  return registry.metrics();
}

function showTotals(registry: Registry, totals: Totals): void {
  const { running, waiting, workers } = totals;
  const ofReason = (reason: string) => waiting.find((one) => one.reason === reason);
  const reasons = [...new Set([...REASONS, ...waiting.map(({ reason }) => reason)])];
  const counts = (all: readonly string[], found: { status: string; count: number }[]) =>
    all.map((label) => ({ label, value: found.find(({ status }) => status === label)?.count ?? 0 }));

  show(registry, 'graft_jobs', 'Jobs by status.', 'status', counts(jobStatuses, totals.jobs));
  show(
    registry,
    'graft_jobs_waiting',
    'Jobs that wait for a worker, by what they wait for; slot: for their turn.',
    'reason',
    reasons.map((label) => ({ label, value: ofReason(label)?.count ?? 0 })),
  );
  show(
    registry,
    'graft_jobs_waiting_oldest_seconds',
    'Age of the oldest job that waits and was never begun, by what it waits for.',
    'reason',
    reasons.map((label) => ({ label, value: ofReason(label)?.oldestSeconds ?? 0 })),
  );
  show(
    registry,
    'graft_running_jobs_train_loss',
    'Training loss at the newest step of all running jobs.',
    'aggregate',
    AGGREGATES.map((label) => ({ label, value: running[`${label}Loss`] })),
  );
  show(
    registry,
    'graft_running_jobs_step_seconds',
    'Seconds of the newest step of all running jobs.',
    'aggregate',
    AGGREGATES.map((label) => ({ label, value: running[`${label}StepSeconds`] })),
  );
  show(registry, 'graft_running_jobs_tokens_per_second', 'Tokens per second of all running jobs together, at their newest steps.', null, [
    { value: running.tokensPerSecond ?? 0 },
  ]);
  show(
    registry,
    'graft_workers',
    'Workers that are alive, and those of them that have a job.',
    'state',
    (['alive', 'busy'] as const).map((label) => ({ label, value: workers[label] })),
  );
  show(
    registry,
    'graft_webhook_deliveries',
    'Deliveries of webhooks in the log of the last 30 days, by status.',
    'status',
    counts(deliveryStatuses, totals.webhooks),
  );
  show(registry, 'graft_webhook_pending_oldest_seconds', 'Age of the oldest event that its webhook has not accepted yet; 0: there is none.', null, [
    { value: totals.oldestWebhookSeconds ?? 0 },
  ]);
  new Counter({ name: 'graft_trained_tokens_total', help: 'Tokens that jobs were trained on.', registers: [registry] }).inc(totals.trainedTokens);
}

/** @param label its name; null for a metric that has one value. Values that are null are left out */
function show(registry: Registry, name: string, help: string, label: string | null, values: { label?: string; value: number | null }[]): void {
  const gauge = new Gauge({ name, help, labelNames: label === null ? [] : [label], registers: [registry] });
  for (const { label: of, value } of values) if (value !== null) gauge.set(label === null ? {} : { [label]: of! }, value);
}
