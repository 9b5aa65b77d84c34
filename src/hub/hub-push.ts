/** Writes files into a repository of the hub, as one commit. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import { commit, createBranch, createRepo, HubApiError, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub';
import type { HubConfig } from '../config.ts';
import { Refusal } from '../formats/refusal.ts';
import { CONFLICTS, openPushFetch } from './push-fetch.ts';

export const DEFAULT_BRANCH = 'main';
/** Commits of others that may come between before ours is given up. */
const MAX_COMMITS = 3;

export interface PushedFile {
  /** Path in the repository. */
  name: string;
  path: string;
  sizeBytes: number;
  /** Hex. */
  sha256: string;
}

export interface HubPush {
  /** `org/name` */
  repoId: string;
  /** Whether nobody else may see the repository. */
  isPrivate: boolean;
  /** A branch, which is made if it does not exist. */
  branch: string;
  /** The user's; null: the operator's. */
  token: string | null;
  files: readonly PushedFile[];
  /** Of the commit. */
  title: string;
  signal: AbortSignal;
  /** Receives bytes of large files as they are sent: how many, and of how many. */
  onProgress(sent: number, total: number): void;
}

export interface Pushed {
  /** 40 hex digits. */
  commit: string;
  /** Of the branch, for people. */
  url: string;
}

export function openHubPush(config: HubConfig): (push: HubPush) => Promise<Pushed> {
  const { endpoint } = config;
  return async ({ repoId, isPrivate, branch, files, title, signal, onProgress, ...push }) => {
    const token = push.token ?? config.token;
    if (token === null) throw new Refusal('hub_token_refused', 'There is no token for the hub', { param: 'hub.token' });
    let sent = 0;
    let total = 0;
    const onSent = (bytes: number) => {
      sent += bytes;
      onProgress(sent, total);
    };
    const fetch = openPushFetch(config, { repoId, token, isOperators: push.token === null, signal, onSent });
    const repo = { type: 'model', name: repoId } as const;
    const request = { hubUrl: endpoint, accessToken: token, fetch };
    const head = async () => (await modelInfo({ ...request, name: repoId, revision: branch, additionalFields: ['sha'] })).sha;

    const isNew = await createRepo({ ...request, repo, visibility: isPrivate ? 'private' : 'public' }).then(() => true, unlessConflict(false));
    if (!isNew && isPrivate && !(await modelInfo({ ...request, name: repoId, revision: DEFAULT_BRANCH })).private)
      throw new Refusal('hub_repository_is_public', `"${repoId}" exists at ${endpoint} and is public`, {
        param: 'hub.private',
        hint: 'Name another repository, make it private there, or set "private" to false.',
      });
    if (branch !== DEFAULT_BRANCH) await createBranch({ ...request, repo, branch, overwrite: true }).catch(unlessConflict(undefined));

    const url = `${endpoint}/${repoId}${branch === DEFAULT_BRANCH ? '' : `/tree/${branch}`}`;
    for (let tries = 1; ; tries++) {
      const there = new Map<string, ListFileEntry>();
      for await (const entry of listFiles({ ...request, repo, revision: branch, recursive: true })) there.set(entry.path, entry);
      const missing: PushedFile[] = [];
      for (const file of files) if (!(await isSame(file, there.get(file.name)))) missing.push(file);
      // An earlier try may have ended after its commit.
      if (missing.length === 0) return { commit: String(await head()), url };
      sent = 0;
      total = missing.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const operations = missing.map(({ name, path }) => ({ operation: 'addOrUpdate', path: name, content: pathToFileURL(path) }) as const);
      // Large files go by Git LFS: the hub skips those that it has, so a push that was cut off continues. Xet, the newer way, cannot be tried here.
      const made = await commit({ ...request, repo, branch, title, operations, useXet: false, abortSignal: signal }).catch(unlessConflict(null));
      if (made != null) return { commit: made.commit.oid, url };
      if (tries === MAX_COMMITS)
        throw new Refusal('hub_conflict', `Others write to "${repoId}" at the same time: ${MAX_COMMITS} commits were overtaken`, {
          param: 'hub.repo_id',
          hint: 'Export the model again, or into a branch of its own with "revision".',
        });
    }
  };
}

const unlessConflict =
  <T>(value: T) =>
  (error: unknown): T => {
    if (error instanceof HubApiError && CONFLICTS.includes(error.statusCode)) return value;
    throw error;
  };

/** The hub lists large files with their SHA-256, and others with the hash of a git blob. */
async function isSame({ path, sizeBytes, sha256 }: PushedFile, listed: ListFileEntry | undefined): Promise<boolean> {
  if (listed === undefined) return false;
  if (listed.lfs) return listed.lfs.oid === sha256;
  if (listed.size !== sizeBytes) return false;
  const blob = createHash('sha1')
    .update(`blob ${sizeBytes}\0`)
    .update(await readFile(path));
  return blob.digest('hex') === listed.oid;
}
