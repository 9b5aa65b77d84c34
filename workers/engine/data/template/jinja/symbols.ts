/**
 * Which variable a name means, decided as Jinja decides it: before the template runs, for each block with a scope of its own. A loop's round, a macro, a
 * call block, a filter block, a set block and `with` have one; `if` has none.
 */
import type { Expression, Parameter, Statement, Target } from './syntax.ts';
import { names } from './target-names.ts';

/** Where a variable is: so many scopes outwards, in that place. */
export interface Reference {
  hops: number;
  slot: number;
}

/**
 * What a variable is when its scope is entered: set by the scope itself (a parameter, a loop's target), the value that the context has, a copy of the
 * variable of that name further out, or nothing.
 */
type Load = { kind: 'parameter' } | { kind: 'context' } | { kind: 'copy'; of: Reference } | { kind: 'nothing' };

export interface Entry {
  slot: number;
  name: string;
  load: Load;
}

export class Symbols {
  #loads = new Map<string, Load>();
  #stores = new Set<string>();

  private constructor(
    readonly parent: Symbols | null,
    /** Shared by the branches of an `if`. */
    private readonly slots: Map<string, number>,
  ) {}

  static under(parent: Symbols | null): Symbols {
    return new Symbols(parent, new Map());
  }

  /** Number of variables. */
  get size(): number {
    return this.slots.size;
  }

  /** What to do when the scope is entered. */
  get entries(): Entry[] {
    return [...this.#loads]
      .map(([name, load]) => ({ slot: this.slots.get(name)!, name, load }))
      .filter(({ load }) => !['parameter', 'nothing'].includes(load.kind));
  }

  /** @returns null if neither this scope nor one further out knows the name */
  find(name: string): Reference | null {
    if (this.#loads.has(name)) return { hops: 0, slot: this.slots.get(name)! };
    const outer = this.parent?.find(name) ?? null;
    return outer && { hops: outer.hops + 1, slot: outer.slot };
  }

  #define(name: string, load: Load): void {
    if (!this.slots.has(name)) this.slots.set(name, this.slots.size);
    this.#loads.set(name, load);
  }

  parameter(name: string): void {
    this.#stores.add(name);
    this.#define(name, { kind: 'parameter' });
  }

  #load(name: string): void {
    if (this.find(name) === null) this.#define(name, { kind: 'context' });
  }

  #store(name: string): void {
    this.#stores.add(name);
    if (this.#loads.has(name)) return;
    const outer = this.parent?.find(name) ?? null;
    this.#define(name, outer === null ? { kind: 'nothing' } : { kind: 'copy', of: outer });
  }

  /** The names that the statements of this scope use, in their order, without those of scopes inside it. */
  visit(statements: readonly Statement[]): void {
    for (const statement of statements) this.#statement(statement);
  }

  #statement(statement: Statement): void {
    switch (statement.kind) {
      case 'print':
        this.visitExpression(statement.value);
        break;
      case 'if':
        this.visitExpression(statement.test);
        this.#branches([statement.body, statement.otherwise]);
        break;
      case 'for':
        this.visitExpression(statement.iterable);
        break;
      case 'set':
        this.visitExpression(statement.value);
        this.visitTarget(statement.target);
        break;
      case 'set block':
        this.visitTarget(statement.target);
        break;
      case 'macro':
        this.#store(statement.name);
        break;
      case 'call block':
        this.visitExpression(statement.call);
        break;
      case 'filter block':
        this.visitExpression(statement.filter);
        break;
      case 'with':
        for (const value of statement.values) this.visitExpression(value);
    }
  }

  visitTarget(target: Target): void {
    if (target.kind === 'member') this.#load(target.name);
    for (const name of names(target)) this.#store(name);
  }

  visitParameters(parameters: readonly Parameter[]): void {
    for (const { name } of parameters) this.parameter(name);
    for (const { byDefault } of parameters) if (byDefault !== null) this.visitExpression(byDefault);
  }

  visitExpression(expression: Expression): void {
    for (const name of namesIn(expression)) this.#load(name);
  }

  /** A name that only one branch assigns to keeps, in the other one, the value from outside. */
  #branches(branches: readonly (readonly Statement[])[]): void {
    const visited = branches.map((statements) => {
      const copy = new Symbols(this.parent, this.slots);
      copy.#loads = new Map(this.#loads);
      copy.#stores = new Set(this.#stores);
      copy.visit(statements);
      return copy;
    });
    const assigned = new Set(visited.flatMap((branch) => [...branch.#stores]).filter((name) => !this.#stores.has(name)));
    for (const branch of visited) {
      for (const [name, load] of branch.#loads) this.#loads.set(name, load);
      for (const name of branch.#stores) this.#stores.add(name);
    }
    for (const name of assigned) {
      const outer = this.parent?.find(name) ?? null;
      this.#define(name, outer === null ? { kind: 'context' } : { kind: 'copy', of: outer });
    }
  }
}

/** The names that an expression reads, in its order. */
function namesIn(expression: Expression): string[] {
  return expression.kind === 'name' ? [expression.name] : childrenOf(expression).flatMap(namesIn);
}

/** Every member of a node that is an expression, or a list or pair of them. */
function childrenOf(node: object): Expression[] {
  const found: Expression[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(collect);
    else if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
      if ('kind' in value) found.push(value as Expression);
      else Object.values(value).forEach(collect);
    }
  };
  for (const [key, value] of Object.entries(node)) if (key !== 'value') collect(value);
  return found;
}

/** Whether statements, or any block inside them, read a name before they assign to it. */
export function mentions(statements: readonly Statement[], name: string): boolean {
  let assigned = false;
  const visit = (node: unknown): boolean => {
    if (assigned || typeof node !== 'object' || node === null) return false;
    if (Array.isArray(node)) return node.some(visit);
    const { kind, target, targets, ...rest } = node as { kind?: string; target?: Target; targets?: Target[]; name?: string };
    if (kind === 'name' && rest.name === name) return true;
    const found = Object.values(rest).some(visit);
    if (found) return true;
    for (const each of [target, ...(targets ?? [])]) {
      if (each?.kind === 'member' && each.name === name) return true;
      if (each !== undefined && names(each).includes(name)) assigned = true;
    }
    return false;
  };
  return statements.some(visit);
}
