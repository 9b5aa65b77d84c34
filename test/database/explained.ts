import type { Database } from '../../src/database/client.ts';
import { Prisma } from '../../src/generated/prisma/client.ts';

/** A step of a plan, as EXPLAIN (ANALYZE, FORMAT JSON) describes it. */
export interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  /** Mean of the loops. */
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: PlanNode[];
}

interface Explained {
  'QUERY PLAN': { Plan: PlanNode }[];
}

/** A database that runs every raw query as it is, and keeps how Postgres carried out the newest one. */
export function explained(database: Database): { database: Database; nodes(): PlanNode[] } {
  let nodes: PlanNode[] = [];
  const flat = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flat)];
  const keep = (rows: Explained[]) => {
    nodes = flat(rows[0]!['QUERY PLAN'][0]!.Plan);
  };
  const $queryRaw = async (query: TemplateStringsArray | Prisma.Sql, ...values: unknown[]) => {
    const sql = 'raw' in query ? Prisma.sql(query, ...values) : query;
    keep(await database.$queryRaw(Prisma.sql`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`));
    return database.$queryRaw(sql);
  };
  const $rows = async (text: string, values: readonly unknown[]) => {
    keep(await database.$rows(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values));
    return database.$rows(text, values);
  };
  const raw: Record<string | symbol, unknown> = { $queryRaw, $rows };
  return {
    database: new Proxy(database, { get: (target, key) => raw[key] ?? Reflect.get(target, key) }),
    nodes: () => nodes,
  };
}
