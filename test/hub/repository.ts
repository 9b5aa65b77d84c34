/** Files of at least this size are listed with their SHA-256, as the hub does for files in Git LFS. */
export const LARGE_BYTES = 100_000;

export interface Repository {
  /** Commit → file → content. */
  commits: Map<string, Map<string, Buffer>>;
  /** Branches and tags → commit. */
  refs: Map<string, string>;
  /** The only token that may read its files. */
  gatedFor?: string;
  isPrivate?: boolean;
}

export const COMMITS = ['a', 'b'].map((letter) => letter.repeat(40)) as [string, string];

/** A repository with one commit, on `main`. */
export function repository(files: Map<string, Buffer>, commit = COMMITS[0]): Repository {
  return { commits: new Map([[commit, files]]), refs: new Map([['main', commit]]) };
}
