/** Asks OPA for the answers to the cases and stores them: `node test/policy/builtins/ask-opa.mjs`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOpa, runOpa } from '../../../scripts/opa.mjs';
import { cases } from './cases.mjs';

/** The answers as lines `{"call", "args", "type"?, "value"?}`; no value means undefined. Operands go in unseen by the type checker. */
export const askOpa = (asked, opa = findOpa()) => {
  const dir = mkdtempSync(join(tmpdir(), 'curfew-vectors-'));
  try {
    const rules = asked.map(({ call, args }, index) => {
      const operands = args.map((arg, at) => `a${at} := unseen("${index}.${at}", ${arg})`).join('; ');
      return `answer["${index}"] := {"type": type_name(x), "value": x} if { ${operands}${operands === '' ? '' : '; '}x := ${call}(${args.map((_, at) => `a${at}`).join(', ')}) }`;
    });
    // Called with something else each time: results of calls with equal operands are shared, and 1.0 equals 1.
    writeFileSync(join(dir, 'ask.rego'), `package ask\n\nunseen(_, x) := x\n\n${rules.join('\n')}\n`);
    writeFileSync(join(dir, 'input.json'), '{}');
    const text = runOpa(opa, ['eval', '--format', 'raw', '-d', 'ask.rego', '-i', 'input.json', 'data.ask.answer'], dir);
    return text;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

if (process.argv[1] === import.meta.filename) {
  const asked = cases();
  const text = askOpa(asked);
  console.log(asked.length, text.length, text.slice(0, 300));
}
