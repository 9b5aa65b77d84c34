/** Screens of a terminal as one SVG that moves, for pages that show pictures and run no scripts. */
import type { Screen, Size, Span } from './terminal.ts';

/** Pixels. */
const CELL = { width: 8.4, height: 18 };
const PADDING = 16;
const BAR_HEIGHT = 30;
/** The last screen stays, before it begins again. */
const END_MS = 5_000;

/** The sixteen colours of terminals that the command line uses. */
const COLORS: Readonly<Record<number, string>> = { 1: '#f49b94', 2: '#86d0ab', 3: '#f0c06a', 4: '#90c1f0', 5: '#e29bd2', 6: '#7fd1d8', 8: '#a4afa7' };
const TEXT = '#e8ede9';

/** @param title  what it shows, for those who do not see it */
export function animatedSvg(screens: readonly Screen[], { columns, rows }: Size, title: string): string {
  const [width, height] = [2 * PADDING + columns * CELL.width, 2 * PADDING + rows * CELL.height + BAR_HEIGHT];
  const endMs = screens.at(-1)!.atMs + END_MS;
  const percent = (ms: number) => `${((100 * ms) / endMs).toFixed(3)}%`;

  // A row that many screens have is drawn once.
  const drawn = new Map<string, number>();
  const idOf = (spans: Span[]) => {
    const markup = spans.map(spanMarkup).join('');
    if (!drawn.has(markup)) drawn.set(markup, drawn.size);
    return drawn.get(markup)!;
  };
  // The screens lie below each other, and the window goes from one to the next.
  const laid = screens.map(({ rows: shown }, index) =>
    shown.map((spans, row) => (spans.length === 0 ? '' : `<use href="#r${idOf(spans)}" y="${(index * rows + row) * CELL.height}"/>`)).join(''),
  );
  const steps = screens.map(({ atMs }, index) => `${percent(atMs)}{transform:translateY(${-index * rows * CELL.height}px)}`);
  const defined = [...drawn].map(([markup, id]) => `<g id="r${id}">${markup}</g>`);

  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" role="img" aria-labelledby="t">
<title id="t">${escaped(title)}</title>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;fill:${TEXT};white-space:pre}
.b{font-weight:600}.d{opacity:.65}
${Object.entries(COLORS)
  .map(([color, value]) => `.c${color}{fill:${value}}`)
  .join('')}
.film{animation:film ${endMs}ms steps(1,end) infinite}
@keyframes film{${steps.join('')}100%{transform:translateY(${-(screens.length - 1) * rows * CELL.height}px)}}
@media (prefers-reduced-motion:reduce){.film{animation:none;transform:translateY(${-(screens.length - 1) * rows * CELL.height}px)}}
</style>
<defs>${defined.join('')}</defs>
<rect width="100%" height="100%" rx="10" fill="#121613"/>
${['#f49b94', '#f0c06a', '#86d0ab'].map((fill, index) => `<circle cx="${PADDING + 6 + 20 * index}" cy="${PADDING + 4}" r="6" fill="${fill}"/>`).join('')}
<clipPath id="w"><rect width="${columns * CELL.width}" height="${rows * CELL.height}"/></clipPath>
<g transform="translate(${PADDING} ${PADDING + BAR_HEIGHT})" clip-path="url(#w)"><g class="film">${laid.join('')}</g></g>
</svg>
`;
}

function spanMarkup({ text, column, color, isBold, isDim }: Span): string {
  const classes = [color === null ? '' : `c${color > 8 ? color - 8 : color}`, isBold ? 'b' : '', isDim ? 'd' : ''].filter((name) => name !== '');
  // With its length, so that columns line up in any font.
  const length = ([...text].length * CELL.width).toFixed(1);
  return `<text x="${(column * CELL.width).toFixed(1)}" y="${CELL.height - 5}" textLength="${length}"${classes.length > 0 ? ` class="${classes.join(' ')}"` : ''}>${escaped(text)}</text>`;
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
