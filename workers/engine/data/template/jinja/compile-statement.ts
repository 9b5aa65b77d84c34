/** Turns statements into functions that print, once for all renderings. */
import { compileTarget } from './assign.ts';
import { Block, BREAK, CONTINUE, type CompiledStatement, type Continuation, NORMAL } from './block.ts';
import { compileArguments, compileExpression, compileFilterOf, type Scope } from './compile-expression.ts';
import { compileFor } from './compile-loop.ts';
import { TemplateError } from './error.ts';
import { Output } from './frame.ts';
import { compileMacro } from './macro.ts';
import { compileEnter, innerSymbols } from './scope.ts';
import type { CallBlock, If, Statement, With } from './syntax.ts';
import { names } from './target-names.ts';
import { str } from './text.ts';
import { Callable, isTrue, typeName } from './values.ts';

type Path = readonly Continuation[] | null;

export function compileBlock(statements: readonly Statement[], scope: Scope, path: Path = null): Block {
  const block = new Block();
  statements.forEach((statement, index) => {
    block.statements.push(compileStatement(statement, scope, path && [{ block, next: index + 1 }, ...path]));
  });
  return block;
}

/** @param path what follows the statement, see `CompileBlock` */
function compileStatement(statement: Statement, scope: Scope, path: Path): CompiledStatement {
  switch (statement.kind) {
    case 'data': {
      const { text } = statement;
      return (_, output) => {
        output.write(text);
        return NORMAL;
      };
    }
    case 'print': {
      const value = compileExpression(statement.value, scope);
      return (frame, output) => {
        output.write(str(value(frame)));
        return NORMAL;
      };
    }
    case 'if':
      return compileIf(statement, scope, path);
    case 'for':
      return compileFor(statement, scope, compileBlock, path);
    case 'set': {
      const [assign, value] = [compileTarget(statement.target, scope.symbols), compileExpression(statement.value, scope)];
      return (frame) => {
        assign(frame, value(frame));
        return NORMAL;
      };
    }
    case 'set block':
      return compileSetBlock(statement, scope);
    case 'macro': {
      const make = compileMacro(statement, scope.symbols, compileBlock);
      const assign = compileTarget({ kind: 'name', name: statement.name }, scope.symbols);
      return (frame) => {
        assign(frame, make(frame));
        return NORMAL;
      };
    }
    case 'call block':
      return compileCallBlock(statement, scope);
    case 'filter block':
      return compileFilterBlock(statement, scope);
    case 'with':
      return compileWith(statement, scope);
    case 'generation':
      return compileGeneration(statement, scope);
    case 'break':
      return () => BREAK;
    case 'continue':
      return () => CONTINUE;
  }
}

/** `if` has no variables of its own. */
function compileIf({ test, body, otherwise }: If, { symbols }: Scope, path: Path): CompiledStatement {
  const scope = { symbols, isConditional: true };
  const decides = compileExpression(test, scope);
  const [yes, no] = [compileBlock(body, scope, path), compileBlock(otherwise, scope, path)];
  return (frame, output) => (isTrue(decides(frame)) ? yes : no).run(frame, output);
}

function compileSetBlock({ target, filter, body }: Statement & { kind: 'set block' }, scope: Scope): CompiledStatement {
  const symbols = innerSymbols(scope.symbols, (inner) => {
    inner.visit(body);
    if (filter !== null) inner.visitExpression(filter);
  });
  const inner = { symbols, isConditional: false };
  const [enter, block, assign] = [compileEnter(symbols), compileBlock(body, inner), compileTarget(target, scope.symbols)];
  const apply = filter === null ? null : compileFilterOf(filter, inner);
  return (frame, _) => {
    const [own, text] = [enter(frame), new Output()];
    const signal = block.run(own, text);
    if (signal !== NORMAL) return signal;
    assign(frame, apply === null ? text.text : apply(own, text.text));
    return NORMAL;
  };
}

function compileFilterBlock({ filter, body }: Statement & { kind: 'filter block' }, scope: Scope): CompiledStatement {
  const symbols = innerSymbols(scope.symbols, (inner) => {
    inner.visit(body);
    inner.visitExpression(filter);
  });
  const inner = { symbols, isConditional: false };
  const [enter, block, apply] = [compileEnter(symbols), compileBlock(body, inner), compileFilterOf(filter, inner)];
  return (frame, output) => {
    const [own, text] = [enter(frame), new Output()];
    const signal = block.run(own, text);
    if (signal === NORMAL) output.write(str(apply(own, text.text)));
    return signal;
  };
}

function compileCallBlock({ call, parameters, body }: CallBlock, scope: Scope): CompiledStatement {
  const make = compileMacro({ name: '', parameters, body }, scope.symbols, compileBlock);
  const [callee, given] = [compileExpression(call.callee, scope), compileArguments(call, scope)];
  return (frame, output) => {
    const called = callee(frame);
    const { args, keywords } = given(frame);
    if (!(called instanceof Callable)) throw new TemplateError(`it calls a ${typeName(called)}, which is not callable`);
    output.write(str(called.call(args, new Map([...keywords, ['caller', make(frame)]]))));
    return NORMAL;
  };
}

function compileWith({ targets, values, body }: With, scope: Scope): CompiledStatement {
  const symbols = innerSymbols(scope.symbols, (inner) => {
    for (const target of targets) for (const name of names(target)) inner.parameter(name);
    inner.visit(body);
  });
  const assigned = targets.map((target, index) => ({ assign: compileTarget(target, symbols), value: compileExpression(values[index]!, scope) }));
  const [enter, block] = [compileEnter(symbols), compileBlock(body, { symbols, isConditional: false })];
  return (frame, output) => {
    const own = enter(frame);
    for (const { assign, value } of assigned) assign(own, value(frame));
    return block.run(own, output);
  };
}

/** As in transformers, the block is a call block: it has variables of its own, and its text begins where the template's own text ends so far. */
function compileGeneration({ body }: Statement & { kind: 'generation' }, scope: Scope): CompiledStatement {
  const make = compileMacro({ name: '', parameters: [], body }, scope.symbols, compileBlock);
  return (frame, output) => {
    const text = make(frame).call([], new Map()) as string;
    frame.run.marked.push({ start: frame.run.output.length, text });
    output.write(text);
    return NORMAL;
  };
}
