/** docs/reference/cli.md: what every command's `--help` prints. */
import { notice, table } from './page.mjs';

/** Names of the commands that a help page lists. */
export const commandsIn = (help) => {
  const grouped = /^Commands \([^)]*\):\n((?: {2}.*\n)*)/m.exec(help)?.[1];
  if (grouped !== undefined) return grouped.replaceAll(/^ {2}[a-z ]+: /gm, '').split(/[,\s]+/).filter((name) => name !== '');
  const section = /^Commands:\n((?: {2}.*\n)*)/m.exec(help)?.[1] ?? '';
  return [...section.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name]) => name);
};

/** What a command line prints on standard output; `runCommand` is the program, run in this process. */
export const printedBy = async (runCommand, argv) => {
  const write = process.stdout.write;
  let text = '';
  process.stdout.write = (chunk) => {
    text += chunk;
    return true;
  };
  try {
    await runCommand(argv);
    return text;
  } finally {
    process.stdout.write = write;
  }
};

/** Every page, commands below their parents. `help(path)` gives the text of `curfew <path> --help`. */
export const helpPages = async (help, path = []) => {
  const text = await help(path);
  const pages = [{ path, text }];
  for (const name of commandsIn(text)) pages.push(...(await helpPages(help, [...path, name])));
  return pages;
};

const exitCodes = [
  ['0', 'done'],
  ['1', 'wrong usage, the server refused (4xx), or the configuration is not valid'],
  ['2', 'the server can not be reached, is not ready, or does not know the outcome (5xx), or whether what ended is enforced yet; `serve` and `dev`: it could not start or failed'],
  ['3', '`explain` says deny'],
  ['4', '`serve` and `dev`: an address to listen on can not be had'],
  ['5', '`serve` and `dev`: another Curfew uses the same store'],
];

export const renderCli = (pages) => `${notice('the help of every command')}
# The command line

\`curfew\` starts Curfew and mirrors its admin API. In a checkout it is \`npx curfew\`.

- **Where and who.** The server is \`--server\` or \`CURFEW_SERVER\`, the credential \`CURFEW_TOKEN\` or the file named by \`--token-file\`, the realm
  \`--realm\` or \`CURFEW_REALM\`. Without them: the development start of this machine.
- **Output.** Tables and lines for people, and with \`--json\` the API's own objects. What came from a server can't repaint the terminal.
- **Repeating.** Every write is sent with an idempotency key. When the outcome is unknown, the message names the key; the same command with
  \`--idempotency-key\` then takes effect at most once.
- **Durations** are \`60s\`, \`5m\`, \`1h30m\` or whole milliseconds (\`dev-token --ttl\`: a bare number is seconds); instants are RFC 3339.

${table(['exit code', 'meaning'], exitCodes)}
${pages.map(({ path, text }) => `## curfew${path.map((name) => ` ${name}`).join('')}\n\n\`\`\`text\n${text.trimEnd()}\n\`\`\`\n`).join('\n')}`;
