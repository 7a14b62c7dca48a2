/** A line of a log as the JSON object that it should be; `undefined` for anything else. */
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';

export const lineObject = (line: Buffer): JsonObject | undefined => {
  try {
    const value = JSON.parse(line.toString('utf8')) as JsonValue;
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
};
