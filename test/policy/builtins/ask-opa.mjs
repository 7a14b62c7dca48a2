/**
 * Asks OPA for the answers to the cases and stores them in answers.jsonl, one `[call, operands, answer]` a line, all Rego
 * text, sets of the answer as arrays, `null` for undefined: `node test/policy/builtins/ask-opa.mjs`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOpa, runOpa } from '../../../scripts/opa.mjs';
import { cases } from './cases.mjs';

/** The answers in the order asked, as JSON text. */
export const askOpa = (asked, opa = findOpa()) => {
  const dir = mkdtempSync(join(tmpdir(), 'curfew-answers-'));
  try {
    // Operands go through a call, so that the type checker doesn't refuse the wrong ones; each call differs, since answers of
    // calls with equal operands are shared and 1.0 equals 1. Marshalled by OPA, an answer keeps its digits.
    const rules = asked.map(({ call, args }, index) => {
      const operands = args.map((arg, at) => `a${at} := unseen("${index}.${at}", ${arg}); `).join('');
      return `answer["${index}"] := json.marshal(x) if { ${operands}x := ${call}(${args.map((_, at) => `a${at}`).join(', ')}) }`;
    });
    writeFileSync(join(dir, 'ask.rego'), `package ask\n\nunseen(_, x) := x\n\n${rules.join('\n')}\n`);
    const answers = new Map(Object.entries(JSON.parse(runOpa(opa, ['eval', '--format', 'raw', '-d', 'ask.rego', 'data.ask.answer'], dir))));
    return asked.map((_, index) => answers.get(String(index)) ?? null);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};

/** What answers.jsonl holds. */
export const answerLines = (opa) => {
  const asked = cases();
  const answers = askOpa(asked, opa);
  return `${asked.map(({ call, args }, index) => JSON.stringify([call, args, answers[index]])).join('\n')}\n`;
};

if (process.argv[1] === import.meta.filename) writeFileSync(join(import.meta.dirname, 'answers.jsonl'), answerLines());
