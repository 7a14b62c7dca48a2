import type { Case } from './cases.mjs';
export const askOpa: (asked: readonly Case[], opa?: string) => readonly (string | null)[];
export const answerLines: (opa?: string) => string;
