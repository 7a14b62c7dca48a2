/** Characters that change how a line looks without being seen: what JSON does not escape of controls, bidirectional and zero-width ones. */
// eslint-disable-next-line no-control-regex
const INVISIBLE = /[\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\uffff]/g;

/** Writes them as JSON escapes, so that a line can't forge another one or repaint a terminal. C0 controls are JSON's own to escape. */
export const escapeInvisible = (text: string): string =>
  text.replace(INVISIBLE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
