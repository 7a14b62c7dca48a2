/** Writes every generated page below docs/reference. Needs `npm run build` before (`npm run docs` does both). */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createAdminApp } from '../dist/admin/app.js';
import { runCommand } from '../dist/command.js';
import { configReference } from '../dist/config/reference.js';
import * as alerts from '../dist/domain/alert.js';
import * as events from '../dist/domain/event-types.js';
import * as reasons from '../dist/domain/reasons.js';
import { renderAlerts } from './reference/alerts.mjs';
import { helpPages, printedBy, renderCli } from './reference/cli.mjs';
import { controlsJson, controlsOf, renderControls } from './reference/controls.mjs';
import { demandTests, markTests } from './reference/demand-tests.mjs';
import { renderDemands } from './reference/demands.mjs';
import { renderEvents } from './reference/events.mjs';
import { renderOpenApi } from './reference/openapi.mjs';
import { renderReasons } from './reference/reasons.mjs';

const root = dirname(import.meta.dirname);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const tests = demandTests(root);
const controls = controlsOf(tests, markTests(root));
const pages = {
  'configuration.md': configReference(),
  'alerts.md': renderAlerts(alerts),
  'reasons.md': renderReasons(reasons),
  'events.md': renderEvents(events),
  'cli.md': renderCli(await helpPages((path) => printedBy(runCommand, [...path, '--help']))),
  'demands.md': renderDemands(tests),
  'controls.md': renderControls(controls),
  'controls.json': controlsJson(controls),
  'openapi.json': await renderOpenApi(createAdminApp, version),
};
for (const [name, text] of Object.entries(pages)) writeFileSync(join(root, 'docs/reference', name), text);
