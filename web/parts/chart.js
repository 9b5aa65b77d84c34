import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';
import { smooth, summary } from '../lib/curves.js';
import { short } from '../lib/format.js';
import { html } from '../lib/html.js';
import { theme } from '../lib/preferences.js';
import { useStore } from '../lib/store.js';

/** @typedef {import('../lib/curves.js').Curve} Curve */

const HEIGHT = 210;
const COLOURS = 6;
/** A table for reading, not for computing: the result file has every step. */
const MAX_ROWS = 40;
const RAW_ALPHA = '55';

/** What a token is at the moment, for a canvas. @param {Element} element @param {string} token */
function colour(element, token) {
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  element.append(probe);
  const [r = 0, g = 0, b = 0] =
    getComputedStyle(probe)
      .color.match(/[\d.]+/g)
      ?.map(Number) ?? [];
  probe.remove();
  return `#${[r, g, b].map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
}

/** @param {number} index */
const token = (index) => `--curve-${(index % COLOURS) + 1}`;

/** @param {{ curve: Curve, smoothing: number, isLog: boolean, syncKey: string }} props */
export function Chart({ curve, smoothing: wanted, isLog, syncKey }) {
  const smoothing = curve.isExact ? 0 : wanted;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const [hovered, setHovered] = useState(/** @type {number | null} */ (null));
  const chosenTheme = useStore(theme);
  const isDark = useDark();
  const data = useMemo(() => columns(curve, smoothing, isLog), [curve, smoothing, isLog]);
  const shape = `${curve.lines.map(({ label, isSparse }) => `${label}${isSparse}`).join()}|${smoothing > 0}|${isLog}|${chosenTheme}|${isDark}`;

  // A plot is made anew only if its lines change; its numbers are set below.
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const made = new uPlot(optionsFor(element, { curve, smoothing, isLog, syncKey, onHover: setHovered }), data, element);
    plot.current = made;
    const resizing = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resizing.observe(element);
    return () => {
      resizing.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape, syncKey]);
  useEffect(() => plot.current?.setData(data), [data]);

  return html`
    <figure class="card">
      <figcaption class="card-head">
        <h2 class="plot-title">${curve.title}${curve.unit && html` <span class="quiet small">${curve.unit}</span>`}</h2>
        <span class="small quiet number">${hovered !== null && curve.steps[hovered] !== undefined ? `step ${curve.steps[hovered]}` : ''}</span>
      </figcaption>
      <ul class="chart-keys number">
        ${curve.lines.map(
          ({ label, values }, line) => html`
            <li><span class="swatch" style=${{ background: `var(${token(line)})` }}></span>${label} <strong>${shownValue(values, hovered)}</strong></li>`,
        )}
      </ul>
      <div class="chart-box" ref=${box} role="img" aria-label=${summary(curve, short)}></div>
      <details class="small"><summary>As a table</summary><${Table} curve=${curve} /></details>
    </figure>`;
}

/** The value under the cursor, or the newest one. @param {(number | null)[]} values @param {number | null} index */
function shownValue(values, index) {
  const value = index === null ? values.findLast((known) => known !== null) : values[index];
  return value == null ? '–' : short(value);
}

/** @param {{ curve: Curve }} props */
function Table({ curve: { title, steps, lines } }) {
  const every = Math.ceil(steps.length / MAX_ROWS);
  const rows = steps.flatMap((step, index) => {
    const isEvaluated = lines.some(({ isSparse, values }) => isSparse && values[index] != null);
    return index % every === 0 || index === steps.length - 1 || (isEvaluated && steps.length < 10 * MAX_ROWS) ? [{ step, index }] : [];
  });
  return html`
    <div class="table-box" tabindex="0" role="region" aria-label=${`${title} as a table`}>
      <table class="number">
        <thead><tr><th scope="col">Step</th>${lines.map(({ label }) => html`<th scope="col">${label}</th>`)}</tr></thead>
        <tbody>
          ${rows.map(
            ({ step, index }) => html`
              <tr><th scope="row">${step}</th>${lines.map(({ values }) => html`<td>${values[index] == null ? '' : short(values[index])}</td>`)}</tr>`,
          )}
        </tbody>
      </table>
    </div>`;
}

/** The rows of numbers that uPlot draws: the steps, and of each line the values as they are and, if wanted, smoothed. @param {Curve} curve @param {number} smoothing @param {boolean} isLog */
function columns({ steps, lines }, smoothing, isLog) {
  // A logarithm knows nothing of zero.
  const drawable = (/** @type {(number | null)[]} */ values) =>
    isLog ? values.map((value) => (value !== null && value > 0 ? value : null)) : values;
  const drawn = lines.flatMap(({ values, isSparse }) =>
    smoothing > 0 && !isSparse ? [drawable(values), drawable(smooth(values, smoothing))] : [drawable(values)],
  );
  return /** @type {uPlot.AlignedData} */ ([steps, ...drawn]);
}

/**
 * @param {Element} element
 * @param {{ curve: Curve, smoothing: number, isLog: boolean, syncKey: string, onHover: (index: number | null) => void }} chosen
 * @returns {uPlot.Options}
 */
function optionsFor(element, { curve, smoothing, isLog, syncKey, onHover }) {
  const series = curve.lines.flatMap(({ label, isSparse }, index) => {
    const stroke = colour(element, token(index));
    const line = { label, stroke, width: 2, spanGaps: true, points: { show: isSparse, size: 5, fill: stroke } };
    if (isSparse || smoothing === 0) return [line];
    return [{ ...line, stroke: stroke + RAW_ALPHA, width: 1, points: { show: false } }, line];
  });
  const quiet = colour(element, '--quiet');
  const axis = { stroke: quiet, font: '11px system-ui', grid: { stroke: colour(element, '--line'), width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    scales: { x: { time: false }, y: isLog ? { distr: 3 } : { range } },
    axes: [
      { ...axis, size: 28, space: 60 },
      { ...axis, size: 56, values: (_plot, ticks) => ticks.map((tick) => (tick === null ? '' : short(tick))) },
    ],
    series: [{}, ...series],
    cursor: { sync: { key: syncKey }, drag: { x: true, y: false }, points: { size: 7 } },
    hooks: { setCursor: [(made) => onHover(made.cursor.idx ?? null)] },
  };
}

/** What the y axis shows. @param {uPlot} _plot @param {number} least @param {number} most @returns {uPlot.Range.MinMax} */
const range = (_plot, least, most) => (least === 0 && most === 0 ? [0, 1] : uPlot.rangeNum(least, most, 0.1, true));

/** Whether the device is set to dark colours, which the page follows unless told otherwise. */
function useDark() {
  const query = useMemo(() => matchMedia('(prefers-color-scheme: dark)'), []);
  const [isDark, setDark] = useState(query.matches);
  useEffect(() => {
    const change = () => setDark(query.matches);
    query.addEventListener('change', change);
    return () => query.removeEventListener('change', change);
  }, [query]);
  return isDark;
}
