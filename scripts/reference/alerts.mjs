/** docs/reference/alerts.md from the closed catalogue in src/domain/alert.ts. */
import { notice, table } from './page.mjs';

export const renderAlerts = ({ ALERT_TYPES, alertSeverity, alertText }) => `${notice('src/domain/alert.ts')}
# Alerts

What somebody should hear of. Where alerts go, how they are signed and what happens when a receiver is away is in [the guide](../guides/alerts.md).

${table(['type', 'severity', 'meaning'], ALERT_TYPES.map((type) => [`\`${type}\``, alertSeverity(type), alertText(type)]))}`;
