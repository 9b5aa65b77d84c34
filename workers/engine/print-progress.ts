/** What the engine's command line prints while it trains. */
import { quantity } from '../../src/formats/quantity.ts';
import type { Prepared, StepReport, TrainReport } from './contract.ts';

/** Prints each percent once: large files report more often. */
export function printPreparing(): NonNullable<TrainReport['preparing']> {
  let printed = '';
  return ({ param, bytesRead, bytesTotal, lines }) => {
    const share = `${param.replace('_', ' ')}: ${Math.floor((100 * bytesRead) / bytesTotal)} % read`;
    if (share !== printed) console.log(`${share}, ${quantity(lines, 'example')}`);
    printed = share;
  };
}

export function printPrepared({
  warnings,
  training,
  validation,
  hyperparameters,
  totalSteps,
  startStep,
  trainableParameters,
  totalParameters,
}: Prepared): void {
  for (const warning of [...warnings, ...training.warnings, ...(validation?.warnings ?? [])]) console.log(`warning: ${warning}`);
  const { n_epochs: epochs, batch_size: batchSize, learning_rate: rate } = hyperparameters;
  console.log(`${training.examples} examples, ${training.tokens} tokens, ${training.supervisedTokens} of them trained on`);
  console.log(`${trainableParameters.toLocaleString('en')} of ${totalParameters.toLocaleString('en')} parameters trained`);
  console.log(
    `${totalSteps} steps: ${epochs} epochs in batches of ${batchSize}, learning rate ${rate}${startStep > 0 ? `, resuming after step ${startStep}` : ''}`,
  );
}

export function printStep({ step, totalSteps, metrics, notices = [] }: StepReport): void {
  const { train_loss: loss, train_mean_token_accuracy: accuracy, grad_norm: norm, tokens, seconds, valid_loss, full_valid_loss } = metrics;
  const valid = full_valid_loss ?? valid_loss;
  const parts = [
    `step ${step}/${totalSteps}`,
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
    ...(accuracy === undefined ? [] : [`accuracy ${accuracy.toFixed(3)}`]),
    ...(norm === undefined ? [] : [`norm ${norm.toFixed(3)}`]),
    `${Math.round(tokens! / seconds!)} tokens/s`,
    ...(valid === undefined ? [] : [`validation loss ${valid.toFixed(4)}`]),
  ];
  console.log(parts.join('  '));
  for (const { message } of notices) console.log(message);
}
