/** docs/reference/events.md from the closed catalogue in src/domain/event-types.ts. */
import { notice, table } from './page.mjs';

export const renderEvents = ({ EVENT_TYPES, eventText, isEnding }) => `${notice('src/domain/event-types.ts')}
# Events

What the store's log tells: every change is in it once, in order, under the position that its command's answer carries. An ending
takes access away; endings have a sequence of their own beside the positions, with a running hash. Every event has \`data.by\`, who did
it (of uses the \`decision\` and its \`pep\`), and \`data.traceparent\` where the request came with one. The history of a grant (\`curfew grant show\`) is made of
them.

${table(['type', 'ending', 'meaning'], EVENT_TYPES.map((type) => [`\`${type}\``, isEnding(type) ? 'yes' : '', eventText(type)]))}`;
