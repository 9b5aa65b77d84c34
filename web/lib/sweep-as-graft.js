/** A request to create a sweep, as the command line would send it. Pure. */

/** @typedef {import('./search.js').SweepRequest} SweepRequest */

/** The jobs' part is a file, and the rest options. @param {string} _url that `graft` is signed in to @param {SweepRequest} request */
export function sweepAsGraft(_url, { name = 'sweep', base, search, budget = {}, metric, mode }) {
  const { strategy, parameters, n, min_steps: minSteps, eta } = search;
  const options = [
    ...Object.entries(parameters).map(([path, values]) => `--vary ${quoted(`${path}=${varied(values)}`)}`),
    ...(n === undefined ? [] : [`--sample ${n}`]),
    ...(strategy === 'successive_halving' ? [`--halving ${minSteps ?? 'STEPS'}`] : []),
    ...(eta === undefined ? [] : [`--eta ${eta}`]),
    ...Object.entries(budget).map(([what, amount]) => `--budget ${what}=${amount}`),
    ...(metric === undefined ? [] : [`--metric ${quoted(metric)}`]),
    ...(mode === undefined ? [] : [`--mode ${mode}`]),
  ];
  return `cat > job.json <<'EOF'
${JSON.stringify(base, null, 2)}
EOF
graft sweep create ${quoted(name)} -f job.json \\
  ${options.join(' \\\n  ')}`;
}

/** @param {unknown} values a list or a range */
function varied(values) {
  if (Array.isArray(values)) return values.map(written).join(',');
  const { min, max, scale, type } = /** @type {Record<string, unknown>} */ (values);
  return `${min}..${max}${scale === 'log' ? ':log' : ''}${type === 'integer' ? ':integer' : ''}`;
}

/** As it is where it reads as nothing else, and as JSON where it might. @param {unknown} value */
const written = (value) => (typeof value === 'string' && PLAIN.test(value) && !WORDS.test(value) ? value : JSON.stringify(value));

/** Names of models, files and choices. */
const PLAIN = /^[A-Za-z][\w./:-]*$/;
/** What YAML takes for something else. */
const WORDS = /^(true|false|null|nan|inf)$|:$/i;

/** For a shell. @param {string} text */
const quoted = (text) => (/^[\w./:,=+@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
