/** docs/claims.md */
import { table, thisMachine } from '../../bench/results-page.ts';
import { type KindOfChange, shareAt } from './change-of-full.ts';
import { mean, mebibytes, nats, percent, shownWithRange } from './numbers.ts';
import { BATCH_SIZE, type Extent } from './rows.ts';
import type { Measured, MeasuredRow } from './runs.ts';
import type { Verdict } from './verdicts.ts';

/** Names of the plots' files, in the page's folder of plots. */
export const PLOTS = ['accuracy', 'forgetting', 'spectrum', 'energy', 'overlap'] as const;
export type Plot = (typeof PLOTS)[number];

interface PageParts {
  about: string;
  isGraftTiny: boolean;
  extent: Extent;
  measured: Measured;
  kinds: readonly KindOfChange[];
  verdicts: readonly Verdict[];
  impossible: readonly string[];
}

const HEAD = ['method', 'learning rate', 'trained', 'peak memory', 'step', 'delivered', 'accuracy', 'forgetting', '‖ΔW‖ / ‖W‖'];

function rowOf(row: MeasuredRow): string[] {
  const { name, learningRate, isAtEdge, runs, step } = row;
  const { trained, total, deliveredBytes } = runs[0]!;
  const of = (pick: (run: (typeof runs)[number]) => number): number[] => runs.map(pick);
  const norms = runs.flatMap(({ change }) => (change?.relative_norm == null ? [] : [change.relative_norm]));
  return [
    name,
    `${Number(learningRate.toPrecision(3))}${isAtEdge ? '*' : ''}`,
    percent(trained / total, 2),
    mebibytes(mean(of(({ peakBytes }) => peakBytes))),
    `${step.ratio.toFixed(2)} ×`,
    mebibytes(deliveredBytes),
    shownWithRange(
      of(({ accuracy }) => accuracy),
      percent,
    ),
    shownWithRange(
      of(({ forgetting }) => forgetting.rise),
      nats,
    ),
    norms.length === 0 ? '–' : percent(mean(norms)),
  ];
}

const RANKS = [1, 2, 4, 8, 16, 32, 64];
const shown = (share: number | null): string => (share === null ? '–' : percent(share, 0));

const energyTable = (kinds: readonly KindOfChange[]): string =>
  table(
    ['layer', 'shape', '‖ΔW‖ / ‖W‖', ...RANKS.map((r) => `r ${r}`), 'random, r 16'],
    kinds.map(({ kind, shape, relativeNorm, energy, energyByChance }) => [
      kind,
      shape.join(' × '),
      percent(relativeNorm),
      ...RANKS.map((r) => shown(shareAt(energy, r))),
      shown(shareAt(energyByChance, 16)),
    ]),
  );

/** φ of the first i directions of each LoRA with as many of ΔW, and with its first 64. */
function similarityTable(rows: readonly MeasuredRow[]): string {
  const pairs = [
    [1, 1],
    [1, 8],
    [8, 8],
    [8, 64],
  ] as const;
  const cell = ({ overlaps }: MeasuredRow, [i, j]: readonly [number, number], side: 'input' | 'output'): string => {
    const values = overlaps.flatMap(({ similarity }) => similarity.filter((one) => one.i === i && one.j === j).map((one) => one[side]));
    return values.length === 0 ? '–' : mean(values).toFixed(2);
  };
  return table(
    ['', ...pairs.flatMap(([i, j]) => [`φ(${i}, ${j}) read`, `φ(${i}, ${j}) written`])],
    rows
      .filter(({ overlaps }) => overlaps.length > 0)
      .map((row) => [
        row.name === 'full' ? 'full, another seed' : row.name,
        ...pairs.flatMap((pair) => [cell(row, pair, 'input'), cell(row, pair, 'output')]),
      ]),
  );
}

export function page({ about, isGraftTiny, extent, measured, kinds, verdicts, impossible }: PageParts): string {
  const { base, rows } = measured;
  const { before, measured_on: on } = rows[0]!.runs[0]!.forgetting;
  const step = rows[0]!.step.seconds;
  const untrained = ['the base, not trained', '–', '–', mebibytes(base.peakBytes), '–', '–', percent(base.accuracy), '–', '–'];
  const seeds = extent.seeds.length === 1 ? 'one seed' : `${extent.seeds.length} seeds`;
  const general = isGraftTiny
    ? `${extent.examples.general} plain conversations of the kind that graft-tiny was made of, which it has not seen`
    : 'texts that the base writes itself';
  return `# LoRA's claims, measured here

Made by \`npm run report:claims\`, on ${thisMachine()}: ${about}, by each method, ${extent.steps} steps of ${BATCH_SIZE} examples in f32, ${seeds}. The learning rate of each is the best of a few
(${extent.rateFactors.map((factor) => `×${factor}`).join(', ')} of its [default](jobs.md#methods)) on examples that are used for nothing else. \`GET …/analysis\` says the same of [one's own job](jobs.md#what-training-changed).

${table(
  ['claim', '', 'figures'],
  verdicts.map(({ claim, rule, held, figures }) => [`**${claim}**: ${rule}`, `**${held}**`, figures]),
)}

A small model is a hard case for some of them: each matrix is so narrow that a low rank is a large share of it, and the process itself needs more memory than the model.

## Methods

${table(HEAD, [untrained, ...rows.map(rowOf)])}

- **trained**: the share of the parameters, of the model with what the method adds. **delivered**: the weights on disk, in f32.
- **peak memory**: of the process that trains; the base's, of one that only reads. **step**: the median of ${extent.timedSteps} steps, as a ratio to full fine-tuning's (${Math.round(1000 * step)} ms
  when this page was made): all methods take a step in turn, so that whatever else the machine does slows all of them alike.
- **accuracy**: how many tokens of the answers are the most probable one, on ${extent.examples.measured} conversations about subjects that no training conversation is about. **forgetting**: how much the loss rises
  on ${on === 'retention_file' ? general : 'texts that the base writes itself'}, from ${nats(before)} nats per token. Mean over the seeds, with the smallest and the largest.
- **‖ΔW‖ / ‖W‖**: the Frobenius norm of the change, as a part of that of the weights that change.
${impossible.length === 0 ? '' : `- Not trained: ${impossible.join('; ')}.\n`}${rows.some(({ isAtEdge }) => isAtEdge) ? '- \\*: the smallest or the largest learning rate that was tried was the best.\n' : ''}
![Accuracy by the share of trained parameters](claims/accuracy.svg)

![What was forgotten by what was learned, of all runs and learning rates](claims/forgetting.svg)

## The change that full fine-tuning makes

The share of the energy of ΔW (the sum of its squared singular values) in its first r directions, by kind of layer: means over layers and seeds, beside a random matrix of the
same shape.

${energyTable(kinds)}

![Singular values of ΔW by kind of layer](claims/spectrum.svg)

![Share of the energy in the first r directions](claims/energy.svg)

## Where LoRA's update lies

How much of the energy of B·A lies in the first r directions of full fine-tuning's ΔW, trained with the same seed and data: what it reads (input directions, where A decides) and what it
writes (output directions, where B does).

![Share of the energy of B·A in the first directions of ΔW](claims/overlap.svg)

The subspace similarity φ(i, j) of the LoRA paper (section 7.2), 0 to 1: how far the first i directions of B·A lie in the first j of ΔW. Means over matrices and seeds.

${similarityTable(rows)}
`;
}
