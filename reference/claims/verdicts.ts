/** Which claims held, by rules that were written before the runs. */
import { type KindOfChange, shareAt } from './change-of-full.ts';
import { mean, mebibytes, nats, percent, points, shownWithRange } from './numbers.ts';
import type { Measured, MeasuredRow } from './runs.ts';

export interface Verdict {
  claim: string;
  /** When it counts as held. */
  rule: string;
  held: 'held' | 'held in part' | 'did not hold';
  figures: string;
}

/** How much worse an accuracy may be to be close: about what it differs between seeds. */
const CLOSE = 0.02;
const SMALL_SHARE = 0.02;
const FRACTION_OF_MEMORY = 0.5;
const LOW_RANK = 16;
const MOST_OF_THE_ENERGY = 0.9;
const HALF = 0.5;
const FAR_ABOVE_CHANCE = 3;
/** LoRA's default rank, by which it is judged where no other is named. */
const USUAL_RANK = 16;
/** Bytes for each trained parameter: its gradient, and AdamW's two moments, in f32. */
const STATE_BYTES = 12;

const accuracyOf = ({ runs }: MeasuredRow): number => mean(runs.map(({ accuracy }) => accuracy));
const shareOf = ({ runs }: MeasuredRow): number => runs[0]!.trained / runs[0]!.total;
const peakOf = ({ runs }: MeasuredRow): number => mean(runs.map(({ peakBytes }) => peakBytes));
const risesOf = ({ runs }: MeasuredRow): number[] => runs.map(({ forgetting }) => forgetting.rise);

export function verdicts({ base, rows }: Measured, kinds: readonly KindOfChange[]): Verdict[] {
  const full = rows.find(({ tuning }) => tuning.type === 'full')!;
  const loras = rows.filter(({ tuning }) => tuning.type === 'lora');
  const usual = loras.find(({ tuning }) => tuning.type === 'lora' && tuning.r === USUAL_RANK) ?? loras.at(-1)!;
  return [
    fewParameters(loras, full),
    closeAccuracy(usual, full),
    lessMemory(usual, full, base.peakBytes),
    lessForgetting(usual, full),
    ...lowRank(kinds),
    ...sameSpace(usual, full),
  ];
}

function fewParameters(loras: readonly MeasuredRow[], full: MeasuredRow): Verdict {
  const small = loras.filter((row) => shareOf(row) <= SMALL_SHARE).toSorted((a, b) => accuracyOf(b) - accuracyOf(a))[0];
  const figures = (row: MeasuredRow) =>
    `${row.name} trains ${percent(shareOf(row), 2)} of the parameters: accuracy ${percent(accuracyOf(row))}, full ${percent(accuracyOf(full))}`;
  return {
    claim: 'Training about 1 % of the parameters is enough',
    rule: `a LoRA that trains at most ${percent(SMALL_SHARE, 0)} is at most ${100 * CLOSE} points less accurate than full fine-tuning`,
    held: small !== undefined && accuracyOf(small) >= accuracyOf(full) - CLOSE ? 'held' : 'did not hold',
    figures: small === undefined ? `no LoRA trains so few; ${figures(loras[0]!)}` : figures(small),
  };
}

function closeAccuracy(usual: MeasuredRow, full: MeasuredRow): Verdict {
  const difference = accuracyOf(usual) - accuracyOf(full);
  const of = ({ name, runs }: MeasuredRow) =>
    `${name} ${shownWithRange(
      runs.map(({ accuracy }) => accuracy),
      percent,
    )}`;
  return {
    claim: "LoRA comes close to full fine-tuning's accuracy",
    rule: `${usual.name} is at most ${100 * CLOSE} points less accurate`,
    held: difference >= -CLOSE ? 'held' : 'did not hold',
    figures: `${of(usual)}, ${of(full)}: ${points(difference)}`,
  };
}

function lessMemory(usual: MeasuredRow, full: MeasuredRow, basePeak: number): Verdict {
  const above = (row: MeasuredRow): number => peakOf(row) - basePeak;
  const fraction = above(usual) / above(full);
  const state = (row: MeasuredRow): string => mebibytes(STATE_BYTES * row.runs[0]!.trained);
  return {
    claim: 'It needs a fraction of the memory',
    rule: `above a process that only reads with the base, ${usual.name} needs at most half of what full fine-tuning does`,
    held: fraction <= FRACTION_OF_MEMORY ? 'held' : 'did not hold',
    figures: `${mebibytes(above(usual))} and ${mebibytes(above(full))}, ${percent(fraction, 0)}; of it for gradients and AdamW's moments ${state(usual)} and ${state(full)}`,
  };
}

function lessForgetting(usual: MeasuredRow, full: MeasuredRow): Verdict {
  const [lora, whole] = [risesOf(usual), risesOf(full)];
  const isAlways = Math.max(...lora) < Math.min(...whole);
  return {
    claim: 'It forgets less',
    rule: `with each seed, the loss on what the base knew rises less with ${usual.name} than with full fine-tuning with any; in part: on average`,
    held: isAlways ? 'held' : mean(lora) < mean(whole) ? 'held in part' : 'did not hold',
    figures: `${usual.name} ${shownWithRange(lora, nats)} nats per token, full ${shownWithRange(whole, nats)}`,
  };
}

function lowRank(kinds: readonly KindOfChange[]): Verdict[] {
  const judged = kinds.flatMap(({ kind, energy, energyByChance }) => {
    const [share, chance] = [shareAt(energy, LOW_RANK), shareAt(energyByChance, LOW_RANK)];
    return share === null || chance === null ? [] : [{ kind, share, chance }];
  });
  if (judged.length === 0) return [];
  const shares = judged.map(({ share }) => share);
  const least = Math.min(...shares);
  return [
    {
      claim: 'The change that fine-tuning makes has a low intrinsic rank',
      rule: `of every kind of layer, the first ${LOW_RANK} directions of full fine-tuning's ΔW have at least ${percent(MOST_OF_THE_ENERGY, 0)} of its energy; in part: ${percent(HALF, 0)}`,
      held: least >= MOST_OF_THE_ENERGY ? 'held' : least >= HALF ? 'held in part' : 'did not hold',
      figures: judged.map(({ kind, share, chance }) => `${kind} ${percent(share, 0)} (random ${percent(chance, 0)})`).join(', '),
    },
  ];
}

function sameSpace(usual: MeasuredRow, full: MeasuredRow): Verdict[] {
  const at = (row: MeasuredRow) => row.overlaps.flatMap(({ overlaps }) => overlaps.filter(({ r }) => r === LOW_RANK));
  const own = at(usual);
  if (own.length === 0) return [];
  const sides = (['input', 'output'] as const).map((side) => ({
    side,
    share: mean(own.map((one) => one[side])),
    chance: mean(own.map((one) => one[`${side}ByChance`])),
    again: at(full).map((one) => one[side]),
  }));
  const isAll = (test: (side: (typeof sides)[number]) => boolean): boolean => sides.every(test);
  const inPart = isAll(({ share, chance }) => share >= FAR_ABOVE_CHANCE * chance);
  return [
    {
      claim: "LoRA learns that change: its B·A lies where full fine-tuning's ΔW does",
      rule: `half of the energy of the B·A of ${usual.name} lies in the first ${LOW_RANK} directions of ΔW, of what is read and of what is written; in part: ${FAR_ABOVE_CHANCE} times as much as by chance`,
      held: isAll(({ share }) => share >= HALF) ? 'held' : inPart ? 'held in part' : 'did not hold',
      figures: sides
        .map(({ side, share, chance, again }) => {
          const other = again.length === 0 ? '' : `, full with another seed ${percent(mean(again), 0)}`;
          return `${side === 'input' ? 'read' : 'written'} ${percent(share, 0)} (by chance ${percent(chance, 0)}${other})`;
        })
        .join('; '),
    },
  ];
}
