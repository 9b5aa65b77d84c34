/** Parses the values of settings. What is wrong with one is added to `problems`, so that all are named at once. */

export const isUrl = (text: string, protocols: readonly string[]): boolean =>
  URL.canParse(text) && protocols.includes(new URL(text).protocol) && /:\/\/./.test(text);

export const listed = (text = ''): string[] => text.split(',').flatMap((item) => item.trim() || []);

export function origins(text: string | undefined, problems: string[]): readonly string[] {
  const list = listed(text);
  const wrong = list.filter((one) => one !== '*' && !(URL.canParse(one) && new URL(one).origin === one));
  if (wrong.length > 0)
    problems.push(
      `CORS_ORIGINS has "${wrong.join('", "')}"; write origins such as https://app.example.com, without a path, separated by commas, or *`,
    );
  return list;
}

/** TensorFlow alone takes about one. */
const MIN_MEMORY_GIB = 2;

export function memoryLimit(name: string, env: NodeJS.ProcessEnv, problems: string[]): number | null {
  const text = env[name];
  if (!text) return null;
  const gib = Number(/^(\d+(?:\.\d+)?)G(?:iB)?$/.exec(text)?.[1]);
  if (!(gib >= MIN_MEMORY_GIB)) problems.push(`${name} is "${text}"; write a number of GiB from ${MIN_MEMORY_GIB}, such as 24G`);
  return gib * 2 ** 30;
}

/** Repositories of the hub: `true` allows all, `false` or an empty value none. */
export function allowedRepositories(name: string, env: NodeJS.ProcessEnv, problems: string[]): string[] {
  const text = env[name] ?? '';
  const patterns = text.split(',').map((pattern) => pattern.trim());
  if (patterns.length === 1) {
    if (['', 'false', '0'].includes(patterns[0]!)) return [];
    if (['true', '1', '*'].includes(patterns[0]!)) return ['*'];
  }
  const wrong = patterns.filter((pattern) => !/^[\w.-]+\/([\w.-]+|\*)$/.test(pattern));
  if (wrong.length > 0) problems.push(`${name} has "${wrong.join('", "')}"; it must be true, false, or a comma-separated list of org/name and org/*`);
  return patterns;
}
