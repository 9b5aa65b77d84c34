/** A template's syntax tree, as the parser makes it. */
import type { Operator } from './arithmetic.ts';
import type { Value } from './values.ts';

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>=' | 'in' | 'not in';

export interface Arguments {
  args: Expression[];
  keywords: [name: string, value: Expression][];
  /** `*args` and `**kwargs` */
  rest: Expression | null;
  restKeywords: Expression | null;
}

export interface Named extends Arguments {
  name: string;
  line: number;
}
/** A filter; the operand is null in `{% filter … %}` and `{% set x | … %}`, which filter their body. */
export interface Filter extends Named {
  kind: 'filter';
  operand: Expression | null;
}
export interface Test extends Named {
  kind: 'test';
  operand: Expression;
}
export interface Call extends Arguments {
  kind: 'call';
  callee: Expression;
}
export interface Name {
  kind: 'name';
  name: string;
}
export interface Slice {
  kind: 'slice';
  of: Expression;
  start: Expression | null;
  stop: Expression | null;
  step: Expression | null;
}

export type Expression =
  | { kind: 'constant'; value: Value }
  | Name
  | { kind: 'list' | 'tuple'; items: Expression[] }
  | { kind: 'dict'; pairs: [Expression, Expression][] }
  | { kind: 'attribute'; of: Expression; name: string }
  | { kind: 'item'; of: Expression; key: Expression }
  | Slice
  | Call
  | Filter
  | Test
  | { kind: 'not' | 'negative' | 'positive'; operand: Expression }
  | { kind: 'arithmetic'; operator: Operator; left: Expression; right: Expression }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'concat'; parts: Expression[] }
  | { kind: 'compare'; first: Expression; rest: { operator: Comparison; operand: Expression }[] }
  | { kind: 'condition'; test: Expression; whenTrue: Expression; otherwise: Expression | null };

/** What an assignment writes to: a name, several, or an attribute of a namespace. */
export type Target = Name | { kind: 'targets'; items: Target[] } | { kind: 'member'; name: string; attribute: string };

export interface Parameter {
  name: string;
  byDefault: Expression | null;
}

export interface For {
  kind: 'for';
  target: Target;
  iterable: Expression;
  test: Expression | null;
  recursive: boolean;
  body: Statement[];
  otherwise: Statement[];
}
export interface Macro {
  kind: 'macro';
  name: string;
  parameters: Parameter[];
  body: Statement[];
}
export interface CallBlock {
  kind: 'call block';
  call: Call;
  parameters: Parameter[];
  body: Statement[];
}
export interface If {
  kind: 'if';
  test: Expression;
  body: Statement[];
  otherwise: Statement[];
}
export interface With {
  kind: 'with';
  targets: Target[];
  values: Expression[];
  body: Statement[];
}

export type Statement =
  | { kind: 'data'; text: string }
  | { kind: 'print'; value: Expression }
  | If
  | For
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'set block'; target: Target; filter: Filter | null; body: Statement[] }
  | Macro
  | CallBlock
  | { kind: 'filter block'; filter: Filter; body: Statement[] }
  | With
  /** transformers' `{% generation %}` */
  | { kind: 'generation'; body: Statement[] }
  | { kind: 'break' | 'continue' };
