/** What can't be given to a policy without changing it on the way or overrunning the module's stack. */
import type { JsonValue } from '../../domain/json.ts';

/** `undefined` when the value is finite, well-formed Unicode and nested at most `depthMax` deep; otherwise a predicate. */
export const inputFault = (value: JsonValue | undefined, depthMax: number): string | undefined => {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? undefined : 'has a string that is not well-formed Unicode';
    case 'number':
      return Number.isFinite(value) ? undefined : 'has a number that is not finite';
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return undefined;
  if (depthMax <= 0) return 'is nested too deeply';
  if (Array.isArray(value)) {
    for (const item of value as readonly JsonValue[]) {
      const fault = inputFault(item, depthMax - 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }
  for (const [name, member] of Object.entries(value)) {
    const fault = name.isWellFormed() ? inputFault(member as JsonValue | undefined, depthMax - 1) : 'has a name that is not well-formed Unicode';
    if (fault !== undefined) return fault;
  }
  return undefined;
};
