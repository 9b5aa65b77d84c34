/** The page's plots, as SVG. */
import { type EChartsOption, init, type SeriesOption } from 'echarts';
import type { KindOfChange } from './change-of-full.ts';
import { mean } from './numbers.ts';
import type { MeasuredRow } from './runs.ts';
import type { TrainedRun } from './train.ts';

const SIZE = { width: 760, height: 400 };

function svg(option: EChartsOption): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  chart.setOption({ animation: false, backgroundColor: '#ffffff', legend: { bottom: 0, type: 'plain' }, ...option });
  const text = chart.renderToSVGString();
  chart.dispose();
  return `${text}\n`;
}

const GRID = { left: 60, right: 30, top: 30, bottom: 90 };
const axis = (name: string) => ({ name, nameLocation: 'middle' as const, nameGap: 34 });
const isLora = ({ tuning }: MeasuredRow): boolean => tuning.type === 'lora';
const ranksOf = (lora: readonly MeasuredRow[]): string => lora.flatMap(({ tuning }) => (tuning.type === 'lora' ? [tuning.r] : [])).join(', ');
const share = ({ trained, total }: TrainedRun): number => (100 * trained) / total;

/** Accuracy by the share of the parameters that is trained: each run a point, LoRA's ranks on a line. */
export function accuracyPlot(rows: readonly MeasuredRow[], baseAccuracy: number): string {
  const lora = rows.filter(isLora);
  const line = lora.map((row): [number, number] => [share(row.runs[0]!), 100 * mean(row.runs.map(({ accuracy }) => accuracy))]);
  const scatter = (name: string, all: readonly MeasuredRow[]): SeriesOption => ({
    name,
    type: 'scatter',
    symbolSize: 7,
    data: all.flatMap(({ runs }) => runs.map((run) => [share(run), 100 * run.accuracy])),
  });
  return svg({
    grid: GRID,
    xAxis: { type: 'log', min: 0.05, max: 100, ...axis('trained parameters, % of all (logarithmic)') },
    yAxis: { type: 'value', min: Math.floor(10 * baseAccuracy) * 10, ...axis('accuracy, %') },
    series: [
      { name: `LoRA, r ${ranksOf(lora)}`, type: 'line', data: line, symbolSize: 4, lineStyle: { width: 1.5 } },
      scatter('LoRA, each seed', lora),
      ...rows.filter((row) => !isLora(row)).map((row) => scatter(row.name, [row])),
    ],
  });
}

/** What was forgotten by what was learned, of all runs, those with other learning rates among them. */
export function forgettingPlot(rows: readonly MeasuredRow[]): string {
  const scatter = (name: string, all: readonly MeasuredRow[]): SeriesOption => ({
    name,
    type: 'scatter',
    symbolSize: 8,
    data: all.flatMap(({ runs, tried }) => [...new Set([...tried, ...runs])].map((run) => [100 * run.accuracy, run.forgetting.rise])),
  });
  const others = rows.filter((row) => !isLora(row));
  return svg({
    grid: GRID,
    xAxis: { type: 'value', scale: true, ...axis('accuracy on the new task, %') },
    yAxis: { type: 'value', ...axis('forgotten, nats per token') },
    series: [scatter('LoRA, all ranks', rows.filter(isLora)), ...others.map((row) => scatter(row.name, [row]))],
  });
}

export const spectrumPlot = (kinds: readonly KindOfChange[]): string =>
  svg({
    grid: GRID,
    xAxis: { type: 'value', min: 1, max: 64, ...axis('number of the singular value') },
    yAxis: { type: 'log', ...axis('σ / ‖ΔW‖ (logarithmic)') },
    series: kinds.map(({ kind, values }) => ({ name: kind, type: 'line', showSymbol: false, data: values.map((value, i) => [i + 1, value]) })),
  });

export function energyPlot(kinds: readonly KindOfChange[]): string {
  const [first] = kinds;
  const line = (name: string, energy: KindOfChange['energy'], type: 'solid' | 'dashed'): SeriesOption => ({
    name,
    type: 'line',
    lineStyle: { type },
    data: energy.map((one) => [one.r, 100 * one.share]),
  });
  return svg({
    grid: GRID,
    xAxis: { type: 'log', logBase: 2, min: 1, max: 64, ...axis('first r directions (logarithmic)') },
    yAxis: { type: 'value', min: 0, max: 100, ...axis('share of the energy of ΔW, %') },
    series: [
      ...kinds.map(({ kind, energy }) => line(kind, energy, 'solid')),
      line(`random, [${first!.shape.join(', ')}]`, first!.energyByChance, 'dashed'),
    ],
  });
}

/** How much of each LoRA's B·A lies in the first r directions of full fine-tuning's ΔW. */
export function overlapPlot(rows: readonly MeasuredRow[]): string {
  const compared = rows.filter(({ overlaps }) => overlaps.length > 0);
  const side = (which: 'input' | 'output', index: number): SeriesOption[] => {
    const at = (row: MeasuredRow, pick: (overlap: MeasuredRow['overlaps'][number]['overlaps'][number]) => number) =>
      row.overlaps[0]!.overlaps.map(({ r }, i) => [r, 100 * mean(row.overlaps.map(({ overlaps }) => pick(overlaps[i]!)))]);
    const shared = { type: 'line' as const, xAxisIndex: index, yAxisIndex: index, symbolSize: 4 };
    return [
      ...compared.map(
        (row): SeriesOption => ({ ...shared, name: row.name === 'full' ? 'full, another seed' : row.name, data: at(row, (one) => one[which]) }),
      ),
      { ...shared, name: 'by chance', lineStyle: { type: 'dashed' }, data: at(compared[0]!, (one) => one[`${which}ByChance`]) },
    ];
  };
  const axes = (names: readonly string[], build: (name: string, gridIndex: number) => object): object[] => names.map(build);
  return svg({
    grid: [
      { left: 60, width: 290, top: 30, bottom: 110 },
      { right: 30, width: 290, top: 30, bottom: 110 },
    ],
    xAxis: axes(["read: first r input directions of full's ΔW", "written: first r output directions of full's ΔW"], (name, gridIndex) => ({
      type: 'log',
      logBase: 2,
      min: 1,
      max: 64,
      gridIndex,
      ...axis(name),
    })),
    yAxis: axes(['share of the energy, %', ''], (name, gridIndex) => ({ type: 'value', min: 0, max: 100, gridIndex, ...axis(name) })),
    series: [...side('input', 0), ...side('output', 1)],
  });
}
