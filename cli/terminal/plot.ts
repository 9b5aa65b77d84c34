import chart, { type Color, type Point } from 'simple-ascii-chart';
import type { Paint } from './text.ts';

/** A curve and how it is called below the plot. */
export interface Curve {
  name: string;
  color: 'cyan' | 'yellow';
  points: readonly Point[];
}

const ANSI: Readonly<Record<Curve['color'], Color>> = { cyan: 'ansiCyan', yellow: 'ansiYellow' };
const HEIGHT = 8;
/** The axis and its numbers. */
const MARGIN = 10;
const MAX_WIDTH = 72;

/**
 * A small plot of curves over steps, oldest left.
 * @param columns of the terminal
 * @returns its lines; none before there is something to draw
 */
export function plot(curves: readonly Curve[], { columns, paint, isColoured }: { columns: number; paint: Paint; isColoured: boolean }): string[] {
  const drawn = curves.filter(({ points }) => points.length > 1);
  const width = Math.min(MAX_WIDTH, columns - MARGIN);
  if (drawn.length === 0 || width < 20) return [];
  const lines = chart(
    drawn.map(({ points }) => meansOf(points, width)),
    {
      width,
      height: HEIGHT,
      hideXAxis: true,
      formatter: (value) => value.toPrecision(3),
      ...(isColoured && { color: drawn.map(({ color }) => ANSI[color]) }),
    },
  );
  const steps = drawn.flatMap(({ points }) => points.map(([step]) => step));
  const legend = drawn.map(({ name, color }) => `${paint(color, '━')} ${name}`).join('  ');
  const range = paint('dim', `steps ${Math.min(...steps)} to ${Math.max(...steps)}`);
  return [...lines.split('\n').filter((line) => line.trim() !== '' && !/^\s*[▲│]\s*$/u.test(line)), `${legend}  ${range}`];
}

/** As many points as there are columns: each the mean of those that share it. */
function meansOf(points: readonly Point[], columns: number): Point[] {
  const size = Math.ceil(points.length / columns);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, index) => {
    const some = points.slice(index * size, (index + 1) * size);
    return [some.at(-1)![0], some.reduce((sum, [, value]) => sum + value, 0) / some.length];
  });
}
