/**
 * docs/reference/controls.md and controls.json: which tests bear on which control of five frameworks. What is written here is only which demands, threats and
 * invariants belong to a control; whether they are shown comes from the tests that name them, so a control whose tests go away is no longer shown.
 */
import { demandStates } from './demands.mjs';
import { notice, table } from './page.mjs';

/** `[control, its subject in short, demands, threats and invariants, what Curfew leaves to others]`. Without any it is outside of what Curfew does. */
const FRAMEWORKS = [
  ['OWASP Non-Human Identities Top 10 (2025)', [
    ['NHI1:2025', 'Improper offboarding', [39, 45, 67, 34, 14], ['E12', 'I2', 'I6']],
    ['NHI2:2025', 'Secret leakage', [60, 69, 37, 56], ['A6', 'G4'], 'It issues no secrets and scans for none; what leaks is worth little.'],
    ['NHI3:2025', 'Vulnerable third-party identity', [43, 15, 52], ['D6']],
    ['NHI4:2025', 'Insecure authentication', [10, 37, 33], ['A1', 'A2', 'A3', 'A4', 'A5', 'A7']],
    ['NHI5:2025', 'Overprivileged identity', [68, 55, 29, 9], ['I3', 'I13']],
    ['NHI6:2025', 'Insecure cloud deployment configurations', [61, 10], ['G5'], 'Only the identities of CI and clusters that ask; the cloud account itself is not looked at.'],
    ['NHI7:2025', 'Long-lived secrets', [4, 13, 28, 60, 50], ['C1', 'I1']],
    ['NHI8:2025', 'Environment isolation', [52], ['I12']],
    ['NHI9:2025', 'Identity reuse', [14, 37, 46], ['E12']],
    ['NHI10:2025', 'Human use of non-human identity', [31, 26, 20], []],
  ]],
  ['NIST CSF 2.0, PR.AA', [
    ['PR.AA-01', 'Identities and credentials are managed', [34, 35, 41, 67], []],
    ['PR.AA-02', 'Identities are proofed and bound to credentials', [10, 37], ['A6'], 'Proofing is the issuer\'s.'],
    ['PR.AA-03', 'Users, services and hardware are authenticated', [10, 33, 60], ['A1', 'A2', 'A3']],
    ['PR.AA-04', 'Identity assertions are protected, conveyed and verified', [37, 69, 59], ['A1', 'A5', 'A7']],
    ['PR.AA-05', 'Permissions are defined in policy, managed, enforced and reviewed; least privilege, separation of duties (PR.AC-4 of CSF 1.1)', [1, 2, 4, 27, 40, 66, 68], ['I1', 'I4', 'I13']],
    ['PR.AA-06', 'Physical access', [], []],
  ]],
  ['NIST SP 800-53 Rev. 5', [
    ['AC-2(2)', 'Automated temporary and emergency account management', [18, 20, 25, 38, 39, 63], ['I1']],
    ['AC-2(3)', 'Disable accounts', [40, 45, 67], []],
    ['AC-3', 'Access enforcement', [1, 2, 66], ['I4']],
    ['AC-4', 'Information flow enforcement', [52, 62], ['B1'], 'At the gateways that ask; there is no inspection of content.'],
    ['AC-5', 'Separation of duties', [27, 44], ['F1', 'I13']],
    ['AC-6', 'Least privilege', [68, 28, 29, 55], ['I3']],
    ['AC-12', 'Session termination', [2, 12, 57], []],
    ['AU-9', 'Protection of audit information', [24], ['G3']],
    ['AU-12', 'Audit record generation', [8, 21, 24], ['I11']],
    ['IA-9', 'Service identification and authentication', [10, 33, 37], ['A1', 'A3']],
  ]],
  ['NIST SP 800-207, tenets of zero trust', [
    ['Tenet 1', 'All data sources and services are resources', [11, 16], [], 'The inventory is what the configuration says.'],
    ['Tenet 2', 'Communication is secured wherever it is', [], ['G5']],
    ['Tenet 3', 'Access is granted per session', [2, 12, 60], ['I1']],
    ['Tenet 4', 'Access is determined by dynamic policy', [10, 33, 36], ['I4', 'I14']],
    ['Tenet 5', 'The posture of assets is measured', [], []],
    ['Tenet 6', 'Authentication and authorization are dynamic and strictly enforced', [1, 2, 6, 25], ['I2', 'I4']],
    ['Tenet 7', 'What is known of the present state is collected and used', [8, 26, 32, 47], ['I11']],
  ]],
  ['NIST AI RMF 1.0', [
    ['GOVERN 1.7', 'Phasing out safely', [39, 67], []],
    ['GOVERN 2.1', 'Roles and lines of responsibility are clear', [34, 44, 23], []],
    ['MAP 3.5', 'Human oversight is defined', [27, 36, 31], ['I13']],
    ['MEASURE 2.4', 'Behaviour in production is monitored', [26, 32, 47], ['I11']],
    ['MEASURE 2.7', 'Security and resilience are evaluated', [37, 69, 53], ['B6', 'I2']],
    ['MEASURE 2.8', 'Accountability', [8, 21, 24], ['G3', 'I10', 'I11']],
    ['MANAGE 2.4', 'Superseding, disengaging, deactivating', [6, 25, 62], ['I2']],
    ['MANAGE 4.1', 'Monitoring after deployment', [26, 68, 47], []],
  ]],
  ['CSA MAESTRO, layers', [
    ['Layer 1', 'Foundation models', [], []],
    ['Layer 2', 'Data operations', [], []],
    ['Layer 3', 'Agent frameworks', [62, 36, 9], ['I3']],
    ['Layer 4', 'Deployment and infrastructure', [1, 10, 61], ['B6', 'G5']],
    ['Layer 5', 'Evaluation and observability', [8, 26, 32], ['G3', 'I11']],
    ['Layer 6', 'Security and compliance', [24, 40, 68, 70], ['I13']],
    ['Layer 7', 'Agent ecosystem', [15, 29, 62], ['I3', 'I12']],
  ]],
];

/** By its demands, threats and invariants together: all are shown, some, none; or there are none. */
const stateOf = (parts) => (parts.length === 0 ? 'outside' : parts.every(({ shown }) => shown === 'shown') ? 'shown' : parts.every(({ shown }) => shown === 'not yet') ? 'not yet' : 'in part');

/** `demands`: what `demandTests` found; `marks`: what `markTests` found. */
export const controlsOf = (demands, marks) => {
  const states = demandStates(demands);
  const known = new Set(marks.map(({ mark }) => mark));
  return FRAMEWORKS.map(([framework, controls]) => ({
    framework,
    controls: controls.map(([id, subject, numbers, names, limits]) => {
      const parts = [
        ...numbers.map((demand) => {
          if (states[demand - 1] === undefined) throw new Error(`${id}: no such demand: ${demand}`);
          return { of: `demand ${demand}`, shown: states[demand - 1], files: demands.filter((one) => one.demand === demand).map(({ file }) => file) };
        }),
        ...names.map((name) => ({ of: name, shown: known.has(name) ? 'shown' : 'not yet', files: marks.filter(({ mark }) => mark === name).map(({ file }) => file) })),
      ];
      const files = [...new Set(parts.flatMap((part) => part.files))];
      const state = stateOf(parts);
      return {
        control: id, subject, state: state === 'shown' && limits !== undefined ? 'in part' : state, by: parts.filter(({ shown }) => shown !== 'not yet').map(({ of }) => of), missing: parts.filter(({ shown }) => shown !== 'shown').map(({ of, shown }) => (shown === 'in part' ? `${of} in part` : of)),
        tests: parts.reduce((sum, part) => sum + part.files.length, 0), files, ...(limits === undefined ? {} : { limits }),
      };
    }),
  }));
};

/** For `curfew report`: without the list of files. */
export const controlsJson = (frameworks) =>
  `${JSON.stringify(frameworks.map(({ framework, controls }) => ({ framework, controls: controls.map(({ files: _files, ...control }) => control) })), null, 1)}\n`;

const links = (files) => files.map((file) => `[${file.replace(/^test\//, '').replace(/\.test\.ts$/, '')}](../../${file})`);

export const renderControls = (frameworks) => `${notice('the names of the tests, by scripts/reference/controls.mjs')}
# Controls of frameworks

Which tests bear on which control, by the [demands](demands.md), threats and invariants ([semantics](semantics.md)) that they name. Shown: each of them is named by a test that would fail if the behaviour went away. "In part" says what is missing, or what Curfew leaves to others.
"Outside" is what it has no part in. A control is about an organization; that a test shows the part of a program in it makes nobody compliant. \`curfew report\` has the same table.

${frameworks.map(({ framework, controls }) => `## ${framework}

${table(['control', 'subject', 'state', 'by', 'missing, and what is left to others', 'tests'], controls.map(({ control, subject, state, by, missing, limits, files }) =>
    [control, subject, state, by.join(', '), [...(missing.length === 0 ? [] : [missing.join(', ')]), ...(limits === undefined ? [] : [`*${limits}*`])].join('\n'), links(files).join('\n')]))}`).join('\n')}`;
