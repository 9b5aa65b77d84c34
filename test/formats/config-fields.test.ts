import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { largestDifference, readReference, referencePath } from '../../reference/fixtures.ts';
import type { ModelConfig } from '../../src/formats/model-config.ts';
import { parseModelConfig } from '../../src/formats/parse-model-config.ts';
import { Refusal } from '../../src/formats/refusal.ts';
import { openEagerForInference } from '../../workers/engine/eager/eager-model.ts';

type Json = Record<string, unknown>;
interface Case {
  change: Json;
  absent?: string[];
  same?: true;
  logits?: number[];
  refused?: string;
  paddingId?: number | null;
}
interface Family {
  model: string;
  inputIds: number[];
  cases: Case[];
}

const families = Object.entries(readReference<Record<string, Family>>('config-fields.json'));
const TOLERANCE = 1e-4;

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'graft-fields-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** What decides about the numbers. */
function maths({ dropout, ignored, bosTokenId, eosTokenIds, padTokenId, paddingId, ...rest }: ModelConfig): object {
  return rest;
}

/** @returns the logits of the token after `inputIds`, with another config.json for the same weights */
function logitsWith(config: Json, { model, inputIds }: Family): Float32Array {
  const from = referencePath(model, 'model');
  const scratch = mkdtempSync(join(dir, 'model-'));
  for (const name of readdirSync(from)) if (name.endsWith('.safetensors')) symlinkSync(join(from, name), join(scratch, name));
  writeFileSync(join(scratch, 'config.json'), JSON.stringify(config));
  const opened = openEagerForInference({ modelDir: scratch });
  try {
    return opened.nextTokenLogits(Int32Array.from(inputIds));
  } finally {
    opened.dispose();
  }
}

describe.each(families)('every field of config.json › in %s', (_, family) => {
  const json = JSON.parse(readFileSync(referencePath(family.model, 'model', 'config.json'), 'utf8')) as Json;
  const base = parseModelConfig(json, 'config.json');
  const changed = ({ change, absent = [] }: Case): Json =>
    Object.fromEntries(Object.entries({ ...json, ...change }).filter(([field]) => !absent.includes(field)));
  const titled = (one: Case): [string, Case] => [`${JSON.stringify(one.change)}${one.absent ? ` without ${one.absent}` : ''}`, one];

  /** @returns the configuration, or null after checking that the refusal names the field, if transformers takes it */
  function parsed(one: Case): ModelConfig | null {
    try {
      return parseModelConfig(changed(one), 'config.json');
    } catch (error) {
      expect(error).toBeInstanceOf(Refusal);
      if (one.refused !== undefined) return null;
      const named = [...Object.keys(one.change), ...(one.absent ?? [])].some((field) => (error as Refusal).message.includes(field));
      expect(named, (error as Refusal).message).toBe(true);
      return null;
    }
  }

  it('that transformers ignores › changes no logit, or is refused by name', () => {
    const before = logitsWith(json, family);
    for (const [title, one] of family.cases.filter(({ same }) => same).map(titled)) {
      const config = parsed(one);
      if (config === null || isDeepStrictEqual(maths(config), maths(base))) continue;
      expect(largestDifference(logitsWith(changed(one), family), before), title).toBe(0);
    }
  });

  it('that transformers reads › gives its logits, or is refused by name', () => {
    let compared = 0;
    for (const [title, one] of family.cases.filter(({ logits }) => logits !== undefined).map(titled)) {
      if (parsed(one) === null) continue;
      const got = logitsWith(changed(one), family).subarray(0, one.logits!.length);
      expect(largestDifference(got, one.logits!), title).toBeLessThanOrEqual(TOLERANCE);
      compared += 1;
    }
    expect(compared).toBeGreaterThan(10);
  });

  it('has the padding token of transformers, whose embedding gets no gradient', () => {
    for (const [title, one] of family.cases.filter(({ refused }) => refused === undefined).map(titled)) {
      const config = parsed(one);
      if (config !== null) expect(config.paddingId, title).toBe(one.paddingId === undefined ? base.paddingId : one.paddingId);
    }
  });

  it('that transformers refuses › never fails in any other way than by a refusal', () => {
    for (const one of family.cases.filter(({ refused }) => refused !== undefined)) parsed(one);
  });
});
