import { randomInt } from 'node:crypto';
import type { Principal } from '../accounts/principal.ts';
import { Refusal } from '../formats/refusal.ts';
import { newSweepId } from '../ids.ts';
import { acceptJob, requestedJob } from '../jobs/create.ts';
import { type CreateJob, MAX_SEED } from '../jobs/schema.ts';
import { type AdvanceNeeds, advanceSweep } from './advance.ts';
import type { CreateSweep } from './schema.ts';
import { trialsOf } from './search.ts';
import { type Sweep, type SweepRequest, sweepRequest, type Trial } from './sweep.ts';
import { trialBodyText } from './trial-body.ts';

/** Of one project; each is looked at every few seconds. Two requests at the same moment may pass it by one, which does no harm. */
const MAX_RUNNING = 20;

interface Request {
  body: CreateSweep;
  /** The body as it was sent. */
  bodyText: string;
  /** Of the request: repeated with the same claim, it returns the sweep created before. */
  claim: string | undefined;
  /** The schema of a job's request. @throws Refusal */
  parseJob(body: unknown): CreateJob;
}

/**
 * Creates a sweep, or refuses at once what a job of it would be refused for. Its jobs are created one by one, as the project has room for them.
 * @throws Refusal
 */
export async function createSweep(principal: Principal, { body, bodyText, claim, parseJob }: Request, services: AdvanceNeeds): Promise<Sweep> {
  const { sweeps } = services;
  const { project: owner, organization } = principal;
  const seed = body.seed ?? randomInt(MAX_SEED);
  const request = sweepRequest(body);
  checkRequest(request);
  const trials = trialsOf(body.search, seed);
  await checkTrials(trials, { principal, request, source: { request: bodyText, seed }, parseJob, services });
  if ((await sweeps.running(owner)) >= MAX_RUNNING)
    throw new Refusal('too_many_sweeps', `The project has ${MAX_RUNNING} sweeps that have not ended, which is the limit`, {
      hint: 'Wait until one has ended, or cancel one.',
    });
  const created = await sweeps.create(owner, { id: newSweepId(claim), organization, request: bodyText, seed, trials });
  // The row is what counts: what is not done now, upkeep does.
  await advanceSweep(created, services).catch((error: unknown) =>
    services.log.warn({ err: error, sweepId: created.id }, 'the sweep could not begin yet'),
  );
  return (await sweeps.reread(created)) ?? created;
}

/** Of what a job's checkpoints and steps have. */
const METRIC = /^(full_valid|train|eval)_./;

/** @throws Refusal for what the jobs cannot be compared by */
function checkRequest({ base, search, budget, metric }: SweepRequest): void {
  if (base.dry_run) throw new Refusal('invalid_value', 'the jobs of a sweep cannot be dry runs', { param: 'base.dry_run', hint: 'Leave it out.' });
  if (!METRIC.test(metric))
    throw new Refusal('invalid_value', `metric is "${metric}", which jobs cannot be compared by`, {
      param: 'metric',
      hint: 'Use full_valid_loss, another full_valid_… or train_… metric, or eval_ and the name of an evaluation.',
    });
  if (search.strategy !== 'successive_halving') return;
  if (metric.startsWith('eval_'))
    throw new Refusal('invalid_value', `metric is "${metric}", which successive halving cannot compare at its steps`, {
      param: 'metric',
      hint: 'Use a full_valid_… or train_… metric.',
    });
  if (budget != null)
    throw new Refusal('invalid_value', 'budget cannot be combined with successive halving', {
      param: 'budget',
      hint: 'What it uses is decided by n, eta and min_steps.',
    });
}

interface Checking {
  principal: Principal;
  request: SweepRequest;
  source: Pick<Sweep, 'request' | 'seed'>;
  parseJob(body: unknown): CreateJob;
  services: Parameters<typeof acceptJob>[2];
}

/** @throws Refusal for the first trial whose job would be refused, which it names */
async function checkTrials(trials: readonly Trial[], { principal, request, source, parseJob, services }: Checking): Promise<void> {
  // What is looked up is the same for most of them.
  const accepted = new Set<string>();
  for (const [index, trial] of trials.entries()) {
    try {
      const bodyText = trialBodyText(source, trial);
      const body = parseJob(JSON.parse(bodyText));
      requireMetric(body, request);
      const { model, start_from, training_file, validation_file, evaluation_file, retention_file, method, tuning } = body;
      const named = JSON.stringify([model, start_from, training_file, validation_file, evaluation_file, retention_file, method?.type, tuning]);
      if (accepted.has(named)) requestedJob(body, bodyText);
      else await acceptJob(principal, { body, bodyText }, services);
      accepted.add(named);
    } catch (error) {
      throw error instanceof Refusal ? ofTrial(error, index, trial) : error;
    }
  }
}

/** @throws Refusal if the job will not have the metric */
function requireMetric(body: CreateJob, { metric }: SweepRequest): void {
  if (metric.startsWith('full_valid_') && body.validation_file == null)
    throw new Refusal('missing_required_parameter', `${metric} is measured on a validation file, which the job does not have`, {
      param: 'validation_file',
      hint: 'Give the base a validation_file, or compare by another metric.',
    });
  const evaluation = metric.startsWith('eval_') ? metric.slice('eval_'.length) : null;
  if (evaluation !== null && !(body.evaluations ?? []).some(({ name }) => name === evaluation))
    throw new Refusal('invalid_value', `metric is "${metric}", and there is no evaluation "${evaluation}"`, { param: 'evaluations' });
}

/** The refusal of a job, with where the sweep's request has the field. */
function ofTrial({ code, param, hint, message }: Refusal, index: number, trial: Trial): Refusal {
  const searched = Object.keys(trial).find((path) => param !== null && isWithin(param, path));
  if (searched !== undefined) return new Refusal(code, `job ${index} of the sweep: ${message}`, { param: `search.parameters.${searched}`, hint });
  const inBase = param === null ? 'base' : `base.${param}`;
  return new Refusal(code, message, { param: param?.startsWith('search.') ? param : inBase, hint });
}

/** `method.supervised.hyperparameters.n_epochs` is within `hyperparameters.n_epochs`. */
const isWithin = (param: string, path: string): boolean => param === path || param.startsWith(`${path}.`) || param.endsWith(`.${path}`);
