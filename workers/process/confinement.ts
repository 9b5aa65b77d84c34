/**
 * Where a training process runs: it reads models, templates and texts of anyone, so it gets as little as the system allows. On Linux, namespaces of its own
 * (no network; a user that may neither trace nor read the environment of other processes; files of the service hidden) and the first place when the kernel
 * has to end a process for lack of memory.
 */
import { spawnSync } from 'node:child_process';

export interface Confinement {
  /** Put before the training process's command. It becomes that command: pid, environment and channels stay. */
  prefix: readonly string[];
  /** What the process cannot do, for the log. */
  achieved: string;
  /** Why not more; null if all of it works. */
  problem: string | null;
}

export interface ConfinementOptions {
  /** Files and directories that it does not see; those that do not exist are left out. */
  hidden: readonly string[];
  /** Whether it gets namespaces of its own. */
  namespaces: boolean;
  /** Limit on the memory that it allocates, bytes; null: none. */
  maxMemoryBytes: number | null;
  /** The operator's own command that runs others, before everything else: it may use what a namespace hides, such as systemd's socket. */
  wrapper: readonly string[];
}

/** Of 1,000: before the database, the queue and the worker. Any process may raise its own. */
const OUT_OF_MEMORY_SCORE = 500;

/** One that asks, or waits for a busy system manager, would hold up the worker's start for ever. */
const WRAPPER_TIMEOUT_MS = 10_000;

/** Arguments: memory limit in KiB or `unlimited`, the number of hidden paths, these paths, the command. */
const SCRIPT = `
echo ${OUT_OF_MEMORY_SCORE} > /proc/self/oom_score_adj
ulimit -d "$1" || exit 1
count=$2
shift 2
while [ "$count" -gt 0 ]; do
  if [ -d "$1" ]; then mount -t tmpfs -o ro,size=4k,mode=0 none "$1" || exit 1
  elif [ -e "$1" ]; then mount --bind /dev/null "$1" || exit 1
  fi
  shift
  count=$((count - 1))
done
exec "$@"`;

const NAMESPACES = ['unshare', '--user', '--map-root-user', '--net', '--ipc'];
/** After mounting: it is not even root among its own files any more. */
const WITHOUT_CAPABILITIES = ['setpriv', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--'];

/**
 * Tries what this system allows, most first. Takes some ten milliseconds.
 * @throws Error if the operator's wrapper does not run a command: its limits were wanted
 */
export function confinement({ hidden, namespaces, maxMemoryBytes, wrapper }: ConfinementOptions): Confinement {
  const wrapped = wrapper.length === 0 ? null : failure(wrapper);
  if (wrapped !== null) throw new Error(`TRAINING_WRAPPER "${wrapper.join(' ')}" does not run a command: ${wrapped}`);
  const limit = maxMemoryBytes === null ? 'unlimited' : String(Math.floor(maxMemoryBytes / 1024));
  const script = (paths: readonly string[]) => ['sh', '-c', SCRIPT, 'sh', limit, String(paths.length), ...paths];
  const choices: Omit<Confinement, 'problem'>[] = [
    {
      prefix: [...NAMESPACES, '--mount', '--', ...script(hidden), ...WITHOUT_CAPABILITIES],
      achieved: "no network, no view of other processes' memory and environment, nor of the service's files",
    },
    {
      prefix: [...NAMESPACES, '--', ...script([]), ...WITHOUT_CAPABILITIES],
      achieved: "no network, no view of other processes' memory and environment",
    },
    { prefix: script([]), achieved: 'first to be ended when memory runs out' },
  ];
  let problem: string | null = null;
  for (const choice of namespaces ? choices : choices.slice(-1)) {
    const prefix = [...wrapper, ...choice.prefix];
    const failed = failure(prefix);
    if (failed === null) return { ...choice, prefix, problem };
    problem ??= failed;
  }
  return { prefix: wrapper, achieved: 'nothing', problem };
}

/** @returns why the prefix does not run a command; null if it does */
function failure(prefix: readonly string[]): string | null {
  const { status, stderr, error } = spawnSync(prefix[0]!, [...prefix.slice(1), 'true'], { encoding: 'utf8', timeout: WRAPPER_TIMEOUT_MS });
  return status === 0 ? null : (error?.message ?? (stderr.trim() || `exit code ${status}`));
}
