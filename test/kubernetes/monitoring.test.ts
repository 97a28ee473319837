import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { describeWith, pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { MANIFESTS } from './support/build.ts';
import { METRICS, unknownIn } from './support/metrics.ts';

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}
interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string }[];
}

const component = join(MANIFESTS, 'components/monitoring');
const { spec } = parse(readFileSync(join(component, 'prometheus-rule.yaml'), 'utf8')) as {
  spec: { groups: { name: string; rules: AlertRule[] }[] };
};
const rules = spec.groups.flatMap(({ rules }) => rules);
const dashboard = JSON.parse(readFileSync(join(component, 'dashboard.json'), 'utf8')) as {
  panels: Panel[];
  templating: { list: { name: string }[] };
};
const queries = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));

describe('alert rules', () => {
  it.each(rules)('$alert asks only for what ss-server exports', ({ expr }) => {
    expect(unknownIn(expr)).toEqual([]);
  });

  it('each has a name of its own, a severity, and says what to do', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { labels, annotations } of rules) {
      expect(['critical', 'warning', 'info']).toContain(labels.severity);
      expect(annotations.summary).not.toBe('');
      expect(annotations.description).not.toBe('');
    }
  });
});

describe('dashboard', () => {
  it.each(queries)('$title asks only for what ss-server exports', ({ expr }) => {
    expect(unknownIn(expr)).toEqual([]);
  });

  it('shows users, throughput, refusals, DNS, event loop and connections, and what else there is', () => {
    const shown = queries.map(({ expr }) => expr).join('\n');
    for (const name of Object.keys(METRICS)) expect(shown).toContain(name);
  });

  it('uses only variables that it has', () => {
    const variables = [...dashboard.templating.list.map(({ name }) => name), '__rate_interval', '__all'];
    for (const [, braced, plain] of JSON.stringify(dashboard).matchAll(/\$(?:\{(\w+)\}|(\w+))/g)) {
      expect(variables).toContain(braced ?? plain);
    }
  });

  it('no panel lies on another, and each has an id of its own', () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.get(`${x},${y}`), title).toBeUndefined();
          taken.set(`${x},${y}`, title);
        }
      }
    }
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  });
});

describe('the check for names', () => {
  it.each([
    ['sum(podsocks_conections{job="ss-server"})', 'podsocks_conections'],
    ['rate(podsocks_refusals_total{cause="policy"}[5m])', 'podsocks_refusals_total{cause}'],
    ['rate(podsocks_refusals_total{reason="denied"}[5m])', 'denied'],
    ['sum by (usr) (podsocks_connections{job="ss-server"})', 'by (usr)'],
    ['podsocks_dns_duration_seconds{job="ss-server"}', 'podsocks_dns_duration_seconds'],
    ['up{} + podsocks_sockets', 'podsocks_sockets'],
  ])('%s', (expression, unknown) => {
    expect(unknownIn(expression)).toContain(unknown);
  });
});

describeWith(['promtool'], 'promtool', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'podsocks-rules-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  // JSON is YAML.
  const write = (name: string, content: object) => writeFileSync(join(directory, name), JSON.stringify(content));

  it('accepts the alert rules, and what it finds is all of them', async () => {
    write('rules.yaml', spec);
    const output = await runCommand(pathOf('promtool'), ['check', 'rules', join(directory, 'rules.yaml')]);
    expect(output.toString()).toContain(`${rules.length} rules found`);
  });

  it('sees each alert fire when it should, and not before', async () => {
    write('rules.yaml', spec);
    const cases = fileURLToPath(new URL('alert-rules.promtool.yaml', import.meta.url));
    copyFileSync(cases, join(directory, 'cases.yaml'));
    const output = await runCommand(pathOf('promtool'), ['test', 'rules', join(directory, 'cases.yaml')]);
    expect(output.toString()).toContain('SUCCESS');
    const { tests } = parse(readFileSync(cases, 'utf8')) as { tests: { alert_rule_test: Case[] }[] };
    const fired = tests.flatMap(test => test.alert_rule_test).filter(({ exp_alerts = [] }) => exp_alerts.length > 0);
    expect(new Set(fired.map(({ alertname }) => alertname))).toEqual(new Set(rules.map(({ alert }) => alert)));
  });

  it('accepts the queries of the dashboard', async () => {
    const asRules = queries.map(({ expr }, i) => ({
      record: `query:${i}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(namespace|pod)/g, '.*'),
    }));
    write('queries.yaml', { groups: [{ name: 'dashboard', rules: asRules }] });
    const output = await runCommand(pathOf('promtool'), ['check', 'rules', join(directory, 'queries.yaml')]);
    expect(output.toString()).toContain(`${queries.length} rules found`);
  });
});

interface Case {
  readonly alertname: string;
  readonly exp_alerts?: readonly object[];
}
