/** docs/reference/reasons.md from the closed catalogue in src/domain/reasons.ts. */
import { notice, table } from './page.mjs';

const status = (wire) => (wire === 'unauthenticated' ? 401 : 403);

export const renderReasons = ({ REASONS, reasonText, wireReason }) => `${notice('src/domain/reasons.ts')}
# Reasons

Why a decision came out as it did. The list is closed and ordered: of several reasons the first one here is the answer's. The
decision log, \`curfew explain\` and metrics always have the reason as it stands here. An answer carries it in \`x-curfew-reason\` in
development; in production it carries only the coarse one in the second column, so that a caller learns nothing about grants.

A denial is 401 where a better credential could help, and 403 otherwise, unless the policy chose another 4xx. An allow has no reason.

${table(['reason', 'in production', 'status', 'meaning'], REASONS.map((reason) => [`\`${reason}\``, `\`${wireReason(reason)}\``, String(status(wireReason(reason))), reasonText(reason)]))}`;
