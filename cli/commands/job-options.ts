import type { Command } from 'commander';
import { collect, collectPairs, number } from './arguments.ts';

/** The options that say what a job is. */
export const withJobOptions = (command: Command): Command =>
  command
    .option('-f, --file <job.yaml>', 'the request as YAML or JSON; options take precedence')
    .option('--model <model>', 'a base model, or a tuned one to continue')
    .option('--training-file <file>', 'the id of a file, or a path: it is then checked and uploaded')
    .option('--validation-file <file>', 'likewise')
    .option('--suffix <text>', "part of the tuned model's name")
    .option('--seed <n>', 'the same seed, data and model give the same adapter', number)
    .option('--epochs <n>', 'n_epochs', number)
    .option('--batch-size <n>', 'batch_size', number)
    .option('--learning-rate <rate>', 'learning_rate', number)
    .option('--rank <r>', "LoRA's r", number)
    .option('--alpha <alpha>', 'lora_alpha', number)
    .option('--full', 'tune all weights instead of an adapter')
    .option('--metadata <key=value>', 'a pair of your own; repeatable', collectPairs, {})
    .option('--set <path=value>', 'any other field, such as tuning.use_rslora=true; repeatable', collect, []);
