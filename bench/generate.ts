/**
 * `npm run bench:generate -- [--rounds 3] [--precision f32,bf16] [--sequences 1,8] [--tokens 64] [--write]`: compares generation with transformers'
 * `generate` and with llama.cpp, alternately on the same machine, with a model of SmolLM2-135M's shape and random weights. Makes the Python environment
 * and downloads llama.cpp first. Prints medians and ratios as a table and one JSON line; --write puts the table into docs/results.md.
 */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { referencePath } from '../reference/fixtures.ts';
import { LlamaCpp } from '../reference/loaders/llama-cpp.ts';
import { pythonEnvironment } from '../reference/python/environment.ts';
import { median } from './measures.ts';
import { lastLineOf } from './program.ts';
import { publishResult, table, thisMachine } from './results-page.ts';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    precision: { type: 'string', default: 'f32,bf16' },
    sequences: { type: 'string', default: '1,8' },
    prompt: { type: 'string', default: '128' },
    tokens: { type: 'string', default: '64' },
    write: { type: 'boolean', default: false },
  },
});

interface Speed {
  prefillPerSecond: number;
  decodePerSecond: number;
  peakMemoryMb: number;
}

type Program = readonly [command: string, ...args: string[]];

const python = await pythonEnvironment();
const llamaCpp = await LlamaCpp.open(python);
const work = mkdtempSync(join(tmpdir(), 'graft-generate-'));
const modelDir = join(work, 'model');
const ggufFile = (precision: string): string => join(work, `${precision}.gguf`);
const peer = (name: string): string => join(import.meta.dirname, 'peers', name);

/** The model's tokens need no text, but a directory needs a tokenizer; without a file beside it, it has no token that ends an answer. */
function writeModel(): void {
  lastLineOf([python, peer('write_model.py'), modelDir, ggufFile('f32'), ggufFile('bf16')], { PYTHONPATH: join(llamaCpp.convertersDir, 'gguf-py') });
  copyFileSync(referencePath('tokenizers', 'smollm', 'tokenizer.json'), join(modelDir, 'tokenizer.json'));
  writeFileSync(join(modelDir, 'tokenizer_config.json'), '{}');
}

function programs(precision: string, sequences: string): Record<string, Program> {
  const common = ['--sequences', sequences, '--prompt', options.prompt, '--tokens', options.tokens];
  const node = [process.execPath, '--import', 'tsx'] as const;
  return {
    Graft: [...node, join(import.meta.dirname, 'generation-speed.ts'), '--model', modelDir, '--precision', precision, ...common],
    transformers: [python, peer('generate.py'), '--model', modelDir, '--precision', precision, ...common],
    'llama.cpp': [...node, peer('llama-cpp.ts'), '--library', llamaCpp.library, '--model', ggufFile(precision), ...common],
  };
}

function compare(precision: string, sequences: string) {
  const chosen = Object.entries(programs(precision, sequences));
  const rounds = Array.from({ length: Number(options.rounds) }, () => {
    const speeds = new Map(chosen.map(([name, program]) => [name, JSON.parse(lastLineOf(program)) as Speed]));
    const shown = [...speeds].map(([name, { decodePerSecond }]) => `${name} ${decodePerSecond.toFixed(1)}`);
    console.error(`${precision}, ${sequences} at once, tokens/s: ${shown.join(', ')}`);
    return speeds;
  });
  const results = chosen.map(([name]) => {
    const medianOf = (of: (speed: Speed, graft: Speed) => number): number =>
      median(rounds.map((speeds) => of(speeds.get(name)!, speeds.get('Graft')!)));
    return {
      name,
      prefillPerSecond: medianOf(({ prefillPerSecond }) => prefillPerSecond),
      decodePerSecond: medianOf(({ decodePerSecond }) => decodePerSecond),
      peakMemoryMb: medianOf(({ peakMemoryMb }) => peakMemoryMb),
      /** How many times as fast Graft is. */
      prefill: medianOf((speed, graft) => graft.prefillPerSecond / speed.prefillPerSecond),
      decode: medianOf((speed, graft) => graft.decodePerSecond / speed.decodePerSecond),
    };
  });
  return { precision, sequences: Number(sequences), results };
}

const HEAD = ['', 'sequences', 'of', 'prefill, tokens/s', 'decode, tokens/s', 'peak memory', 'Graft is, in prefill', 'in decode'];

try {
  writeModel();
  const measured = options.precision
    .split(',')
    .flatMap((precision) => options.sequences.split(',').map((sequences) => compare(precision, sequences)));
  const rows = measured.flatMap(({ precision, sequences, results }) =>
    results.map(({ name, prefillPerSecond, decodePerSecond, peakMemoryMb, prefill, decode }) => {
      const ratio = (value: number): string => (name === 'Graft' ? '' : `**${value.toFixed(2)}×**`);
      const sizes = [prefillPerSecond.toFixed(0), decodePerSecond.toFixed(1), `${(peakMemoryMb / 1000).toFixed(1)} GB`];
      return [precision, String(sequences), name, ...sizes, ratio(prefill), ratio(decode)];
    }),
  );
  const where = `Measured on ${thisMachine()}; medians of ${options.rounds} rounds, after prompts of ${options.prompt} tokens.`;
  publishResult('generate', [table(HEAD, rows), '', where].join('\n'));
  console.log(`\n${JSON.stringify({ bench: 'generate', rounds: Number(options.rounds), measured })}`);
} finally {
  rmSync(work, { recursive: true });
}
