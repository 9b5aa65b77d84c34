/** What other processes and libraries find in the environment. */

/** Sets a variable that a library reads by itself, unless the user has set it. */
export function setByDefault(name: string, value: string): void {
  process.env[name] ??= value;
}

/** This process's environment with some settings replaced, for a child process. */
export function environmentWith(settings: Record<string, string>): NodeJS.ProcessEnv {
  return { ...process.env, ...settings };
}

/** Variables by which a process finds its programs, libraries, devices and temporary files. */
const TRAINING_VARIABLES = /^(PATH|HOME|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|XDG_CACHE_HOME|NODE_OPTIONS|CUDA_.*|NVIDIA_.*|TF_.*|OMP_.*)$/;

/** The part of the environment that a training process gets: no addresses, keys or credentials. */
export function trainingEnvironment(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const entries = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && TRAINING_VARIABLES.test(entry[0]));
  return Object.fromEntries(entries);
}
