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

/** A database that runs every raw query as it is, and keeps how Postgres carried out the newest one. */
export function explained(database: Database): { database: Database; nodes(): PlanNode[] } {
  let nodes: PlanNode[] = [];
  const flat = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flat)];
  const $queryRaw = async (query: TemplateStringsArray | Prisma.Sql, ...values: unknown[]) => {
    const sql = 'raw' in query ? Prisma.sql(query, ...values) : query;
    const [row] = await database.$queryRaw<{ 'QUERY PLAN': { Plan: PlanNode }[] }[]>(Prisma.sql`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`);
    nodes = flat(row!['QUERY PLAN'][0]!.Plan);
    return database.$queryRaw(sql);
  };
  return {
    database: new Proxy(database, { get: (target, key) => (key === '$queryRaw' ? $queryRaw : Reflect.get(target, key)) }),
    nodes: () => nodes,
  };
}
