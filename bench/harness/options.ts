/** Flags of a bench: every option is a number or a switch, and an unknown one is refused. */
export type Defaults = Readonly<Record<string, number | boolean>>;

export type Options<D extends Defaults> = { readonly [K in keyof D]: D[K] extends boolean ? boolean : number };

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export const readOptions = <const D extends Defaults>(defaults: D, argv: readonly string[]): Options<D> => {
  const chosen = new Map<string, number | boolean>(Object.entries(defaults));
  const names = new Map(Object.keys(defaults).map((name) => [`--${kebab(name)}`, name]));
  for (let index = 0; index < argv.length; index += 1) {
    const [flag = '', inline] = (argv[index] ?? '').split('=', 2);
    const name = names.get(flag);
    if (name === undefined) throw new Error(`unknown option ${flag}; there are ${[...names.keys()].join(' ')}`);
    if (typeof defaults[name] === 'boolean') {
      chosen.set(name, inline !== 'false');
      continue;
    }
    const text = inline ?? argv[(index += 1)] ?? '';
    const value = Number(text.replaceAll('_', ''));
    if (text === '' || !Number.isFinite(value) || value < 0) throw new Error(`${flag} needs a number`);
    chosen.set(name, value);
  }
  return Object.fromEntries(chosen) as Options<D>;
};
