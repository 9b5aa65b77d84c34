import type { Static } from 'typebox';
import { saveTotalLimit } from '../formats/hyperparameters.ts';
import { jsonText } from '../formats/json-text.ts';
import { secondsOrNull, unixSeconds } from '../formats/unix-seconds.ts';
import type { Checkpoint, Job, JobEvent } from './job.ts';
import type { CheckpointObject, EventObject, JobObject } from './schema.ts';

/** The job as the contract shows it. @param queuePosition  where it is asked for: looking it up for a whole list would take long */
export function jobView(job: Job, queuePosition?: number | null): Static<typeof JobObject> {
  const auto = { n_epochs: 'auto', batch_size: 'auto', learning_rate_multiplier: 'auto' };
  const limit = job.resolved && { save_total_limit: saveTotalLimit(job.hyperparameters) };
  const { warmup_ratio: ratio, ...rest } = { ...auto, ...job.hyperparameters, ...job.resolved, ...limit };
  // Shown as they were asked for: a request may give one of the two.
  const hyperparameters = ratio === undefined || 'warmup_steps' in rest ? rest : { ...rest, warmup_ratio: ratio };
  return {
    id: job.id,
    object: 'fine_tuning.job',
    created_at: unixSeconds(job.createdAt),
    error: job.error,
    fine_tuned_model: job.fineTunedModel,
    finished_at: secondsOrNull(job.finishedAt),
    ...(job.expiresAt && { expires_at: unixSeconds(job.expiresAt) }),
    hyperparameters,
    model: job.startFrom?.jobId == null ? job.model : job.startFrom.name,
    start_from: job.startFrom?.jobId === null ? job.startFrom.name : null,
    organization_id: job.organization,
    // The ids are recorded a moment before the files exist.
    result_files: job.status === 'succeeded' ? job.resultFileIds : [],
    suffix: job.suffix,
    seed: job.seed,
    priority: job.priority,
    dry_run: job.dryRun,
    sweep_id: job.sweepId,
    status: job.status,
    waiting_for: job.waitingFor,
    step: job.status === 'succeeded' ? job.totalSteps : job.step,
    total_steps: job.totalSteps,
    ...(queuePosition !== undefined && { queue_position: queuePosition }),
    trained_tokens: job.trainedTokens,
    training_file: job.trainingFileId,
    validation_file: job.validationFileId,
    sample_prompts: job.samplePrompts,
    evaluations: job.evaluations,
    evaluation_file: job.evaluationFileId,
    evaluation_max_examples: job.evaluationMaxExamples,
    max_completion_tokens: job.maxCompletionTokens,
    analysis: job.analysis,
    retention_file: job.retentionFileId,
    // One that is over was wrong: a worker that is alive writes a new one every second.
    estimated_finish: job.estimatedFinish !== null && job.estimatedFinish > new Date() ? unixSeconds(job.estimatedFinish) : null,
    integrations: job.integrations,
    metadata: job.metadata,
    method: {
      type: job.objective,
      [job.objective]: {
        hyperparameters,
        ...(job.chatTemplate !== null && { chat_template: job.chatTemplate }),
        ...(job.chatTemplateKwargs !== null && { chat_template_kwargs: JSON.parse(jsonText(job.chatTemplateKwargs)) as unknown }),
      },
    },
    tuning: job.tuning,
  };
}

export const eventView = (event: JobEvent): Static<typeof EventObject> => ({
  id: event.id,
  object: 'fine_tuning.job.event',
  created_at: unixSeconds(event.createdAt),
  level: event.level,
  message: event.message,
  type: event.type,
  data: event.data,
});

export const checkpointView = (checkpoint: Checkpoint): Static<typeof CheckpointObject> => ({
  id: checkpoint.id,
  object: 'fine_tuning.job.checkpoint',
  created_at: unixSeconds(checkpoint.createdAt),
  fine_tuning_job_id: checkpoint.jobId,
  fine_tuned_model_checkpoint: checkpoint.name,
  step_number: checkpoint.step,
  ...(checkpoint.expiresAt && { expires_at: unixSeconds(checkpoint.expiresAt) }),
  metrics: checkpoint.metrics,
});
