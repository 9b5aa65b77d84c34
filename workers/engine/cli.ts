/** The engine's command line: train, generate and export without the service. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Type } from 'typebox';
import { Value } from 'typebox/value';
import { defined } from '../../src/formats/defined.ts';
import { CONVERTED_FORMATS, DTYPES_OF } from '../../src/formats/export-format.ts';
import { Hyperparameters } from '../../src/formats/hyperparameters.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { ALL_LINEAR } from '../../src/formats/tuning/lora-fields.ts';
import { resolveTuning, TUNING_TYPES, type Tuning, tuningSchema } from '../../src/formats/tuning/tuning.ts';
import type { TrainOptions } from './contract.ts';
import { printPrepared, printPreparing, printStep } from './print-progress.ts';

const USAGE = `Usage:
  npm run train -- --model DIR --data FILE --out DIR [options]
    --validation FILE        examples to evaluate on
    --checkpoints DIR        write checkpoints here, also on Ctrl-C
    --resume DIR             resume from a checkpoint
    --tokens DIR             keep the run's tokenised files here, so that --resume does not tokenise them again
    --tuning ${TUNING_TYPES.join('|')}       default lora
    --r N  --alpha N  --dropout N  --target-modules a,b|all-linear  --rslora
    --epochs N  --batch-size N  --learning-rate N  --scheduler linear|cosine|constant|…
    --warmup-ratio N  --warmup-steps N  --weight-decay N  --optim adamw_torch|adamw_8bit  --optimizer-in-bwd  --max-grad-norm N  --max-length N
    --truncation error|right|left|drop  --incomplete-turns error|drop  --multi-turn whole|split  --eval-steps N  --save-steps N
    --max-steps N  --early-stopping-patience N  --load-best-model-at-end  --max-skipped-steps N
    --seed N                 default 0
    --base-model-name NAME   written into the adapter; default: the model's directory

  npm run generate -- --model DIR --prompt TEXT [options]
    --adapter DIR            a PEFT adapter
    --system TEXT            a system message before the prompt
    --raw                    continue the prompt as it is, without the chat template
    --max-tokens N           default 64
    --temperature N          default 0: always the most probable token
    --seed N                 default 0

  npm run export -- --model DIR --out DIR --format ${CONVERTED_FORMATS.join('|')} [options]
    --adapter DIR            a PEFT adapter; without one, the model itself is converted
    --dtype TYPE             of the weights; default: the first of the format (docs/export.md)
    --name NAME              written into the files; default: the directory's

  npm run import -- --model FILE.gguf --out DIR      makes a Hugging Face directory of a GGUF file
`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;

async function trainCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      ...{ model: text, data: text, out: text, validation: text, checkpoints: text, resume: text, tuning: text, r: text, alpha: text, dropout: text },
      ...{ 'target-modules': text, rslora: flag, epochs: text, 'batch-size': text, 'learning-rate': text, scheduler: text, 'warmup-ratio': text },
      ...{ 'warmup-steps': text, 'incomplete-turns': text, 'multi-turn': text, 'max-steps': text, 'early-stopping-patience': text },
      ...{ 'load-best-model-at-end': flag, 'max-skipped-steps': text },
      ...{ 'weight-decay': text, 'max-grad-norm': text, 'max-length': text, truncation: text, 'eval-steps': text, 'save-steps': text, seed: text },
      ...{ optim: text, 'optimizer-in-bwd': flag },
      ...{ 'base-model-name': text, tokens: text },
    },
  });
  const { type } = resolveTuning();
  const requested = oneOf('tuning', values.tuning ?? type, TUNING_TYPES);
  const tuning = checked<Tuning>(tuningSchema(requested), 'the tuning', {
    type: requested,
    r: number('r', values.r),
    lora_alpha: number('alpha', values.alpha),
    lora_dropout: number('dropout', values.dropout),
    target_modules:
      values['target-modules'] === undefined || values['target-modules'] === ALL_LINEAR
        ? values['target-modules']
        : values['target-modules'].split(','),
    use_rslora: values.rslora,
  });
  const hyperparameters = checked<Hyperparameters>(Hyperparameters, 'the hyperparameters', {
    n_epochs: number('epochs', values.epochs),
    batch_size: number('batch-size', values['batch-size']),
    learning_rate: number('learning-rate', values['learning-rate']),
    lr_scheduler_type: values.scheduler,
    warmup_ratio: number('warmup-ratio', values['warmup-ratio']),
    warmup_steps: number('warmup-steps', values['warmup-steps']),
    weight_decay: number('weight-decay', values['weight-decay']),
    optim: values.optim,
    optimizer_in_bwd: values['optimizer-in-bwd'],
    max_grad_norm: number('max-grad-norm', values['max-grad-norm']),
    max_length: number('max-length', values['max-length']),
    truncation: values.truncation,
    incomplete_turns: values['incomplete-turns'],
    eval_steps: number('eval-steps', values['eval-steps']),
    save_steps: number('save-steps', values['save-steps']),
    multi_turn: values['multi-turn'],
    max_steps: number('max-steps', values['max-steps']),
    early_stopping_patience: number('early-stopping-patience', values['early-stopping-patience']),
    load_best_model_at_end: values['load-best-model-at-end'],
    max_skipped_steps: number('max-skipped-steps', values['max-skipped-steps']),
  });
  const interrupt = new AbortController();
  process.once('SIGINT', () => interrupt.abort(interruption()));
  const options: TrainOptions = {
    modelDir: resolve(required('model', values.model)),
    trainingFile: resolve(required('data', values.data)),
    outputDir: resolve(required('out', values.out)),
    ...(values.validation === undefined ? {} : { validationFile: resolve(values.validation) }),
    ...(values.checkpoints === undefined ? {} : { checkpointsDir: resolve(values.checkpoints) }),
    ...(values.resume === undefined ? {} : { resumeFrom: resolve(values.resume) }),
    ...(values.tokens === undefined ? {} : { tokensDir: resolve(values.tokens) }),
    ...(values['base-model-name'] === undefined ? {} : { baseModelName: values['base-model-name'] }),
    tuning,
    hyperparameters,
    seed: number('seed', values.seed) ?? 0,
    machineFile: join(homedir(), '.cache/graft/machine.json'),
    signal: interrupt.signal,
    report: { preparing: printPreparing(), prepared: printPrepared, step: printStep, checkpoint: ({ dir }) => console.log(`checkpoint ${dir}`) },
  };
  // TensorFlow takes seconds to load, so mistakes on the command line are reported first.
  const { trainWithLineage } = await import('./train-with-lineage.ts');
  const { outputDir, files } = await trainWithLineage(options);
  console.log(`wrote ${files.join(', ')} to ${outputDir}`);
}

function interruption(): Refusal {
  return new Refusal('interrupted', 'interrupted', { hint: 'If you gave --checkpoints, continue with --resume and the last checkpoint.' });
}

async function generateCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { model: text, adapter: text, prompt: text, system: text, raw: flag, 'max-tokens': text, temperature: text, seed: text },
  });
  const prompt = required('prompt', values.prompt);
  const modelDir = resolve(required('model', values.model));
  const sampling = { temperature: number('temperature', values.temperature) ?? 0, seed: number('seed', values.seed) ?? 0 };
  const maxTokens = number('max-tokens', values['max-tokens']) ?? 64;
  const { GREEDY, openGenerationModel } = await import('./index.ts');
  const model = await openGenerationModel({ modelDir });
  try {
    const adapter = values.adapter === undefined ? null : 'adapter';
    if (values.adapter !== undefined) await model.addAdapter('adapter', resolve(values.adapter));
    const message = (role: 'system' | 'user', content: string) => ({ role, content, extra: new Map() });
    const system = values.system === undefined ? [] : [message('system', values.system)];
    const tokens = values.raw === true ? model.tokens(prompt) : model.conversation([...system, message('user', prompt)], { adapter, tools: null });
    const { text } = await model.generate({ ...GREEDY, ...sampling, prompt: await tokens, adapter, maxTokens });
    console.log(text);
  } finally {
    model.dispose();
  }
}

async function exportCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { model: text, adapter: text, out: text, format: text, dtype: text, name: text } });
  const modelDir = resolve(required('model', values.model));
  const outputDir = resolve(required('out', values.out));
  const adapterDir = values.adapter === undefined ? null : resolve(values.adapter);
  const format = oneOf('format', required('format', values.format), CONVERTED_FORMATS);
  const dtype = oneOf('dtype', values.dtype ?? DTYPES_OF[format][0]!, DTYPES_OF[format]);
  const { exportModel } = await import('./export/export.ts');
  const name = values.name ?? basename(adapterDir ?? modelDir);
  const { warnings, proof } = await exportModel({ modelDir, adapterDir, outputDir, format, dtype, name }, async () => {});
  for (const warning of warnings) console.log(`warning: ${warning}`);
  if (proof !== null) console.log(`the merged model's logits are within ${proof.difference.toExponential(1)} of the base's with the adapter`);
  console.log(`wrote ${format} (${dtype}) to ${outputDir}`);
}

async function importCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { model: text, out: text } });
  const [file, dir] = [resolve(required('model', values.model)), resolve(required('out', values.out))];
  if (existsSync(dir)) throw new Refusal('invalid_option', `${dir} exists already`, { hint: 'Give --out the name of a new directory.' });
  const { importGguf } = await import('./gguf/import-gguf.ts');
  await importGguf(file, dir);
  console.log(`wrote the model in ${file} to ${dir}`);
}

function oneOf<T extends string>(name: string, value: string, known: readonly T[]): T {
  const found = known.find((one) => one === value);
  if (found === undefined) throw new Refusal('invalid_option', `--${name} is "${value}"; use ${known.join(', ')}`);
  return found;
}

function required(name: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new Refusal('missing_option', `--${name} is missing`, { hint: 'See --help.' });
  return value;
}

function number(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isFinite(parsed)) throw new Refusal('invalid_option', `--${name} is "${value}", not a number`);
  return parsed;
}

/** Drops the options that were not given and checks the rest against the service's schema. */
function checked<T>(schema: Type.TSchema, what: string, value: Record<string, unknown>): T {
  const given = defined(value);
  if (Value.Check(schema, given)) return given as T;
  const errors = Value.Errors(schema, given);
  // Why each branch of a union fails is more useful than that none matched; `auto` need not be mentioned.
  const specific = errors.filter(({ keyword }) => !['anyOf', 'const', 'boolean'].includes(keyword));
  const problems = (specific.length > 0 ? specific : errors).map(({ instancePath, message }) => `${instancePath.slice(1)} ${message}`.trim());
  throw new Refusal('invalid_option', `${what}: ${[...new Set(problems)].join('; ')}`, { hint: 'See --help.' });
}

async function main([command, ...args]: string[]): Promise<void> {
  if (command === undefined || command === '--help' || args.includes('--help')) console.log(USAGE);
  else if (command === 'train') await trainCommand(args);
  else if (command === 'generate') await generateCommand(args);
  else if (command === 'export') await exportCommand(args);
  else if (command === 'import') await importCommand(args);
  else throw new Refusal('unknown_command', `unknown command "${command}"`, { hint: 'See --help.' });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const expected = error instanceof Refusal || (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true;
  console.error(error instanceof Refusal ? error.text : expected ? (error as Error).message : error);
  process.exitCode = 1;
});
