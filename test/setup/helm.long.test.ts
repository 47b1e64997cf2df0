import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Deployment } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { Job } from 'kubernetes-models/batch/v1';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { buildGoProgram } from '../../scripts/embedded/go.ts';
import { copiedIntoImage, entriesOf, procfile } from '../support/deploying.ts';
import { temporaryRoom } from '../support/temporary.ts';

const CHART = 'deploy/helm';
/** Everything that the chart makes, by its kind, with the schema of Kubernetes 1.27 and later for it. */
const KINDS = { Deployment, HorizontalPodAutoscaler, Job, Ingress, PodDisruptionBudget, Service };
const MODULES: Record<keyof typeof KINDS, string> = {
  Deployment: 'apps/v1',
  HorizontalPodAutoscaler: 'autoscaling/v2',
  Job: 'batch/v1',
  Ingress: 'networking.k8s.io/v1',
  PodDisruptionBudget: 'policy/v1',
  Service: 'v1',
};

// biome-ignore lint/suspicious/noExplicitAny: whatever the templates gave; the schemas judge it.
type Made = any;

let room: Awaited<ReturnType<typeof temporaryRoom>>;
let reason: string | undefined;
let values: Record<string, unknown>;
let chart: { name: string; version: string; appVersion: string; apiVersion: string };

beforeAll(async () => {
  room = await temporaryRoom('helm');
  reason = await buildGoProgram(
    'test/support/render-chart/main.go',
    join(room.path, 'render'),
    join(room.path, 'cache'),
  );
  // Whoever counts on this run for every change must not lose a check without noticing.
  if (reason !== undefined && process.env.CI) throw new Error(reason);
  if (reason !== undefined) console.warn(`The chart is not rendered: ${reason}`);
  values = parse(await readFile(`${CHART}/values.yaml`, 'utf8'));
  chart = parse(await readFile(`${CHART}/Chart.yaml`, 'utf8'));
  // Without a cache the compiler begins with its own library.
}, 300_000);
afterAll(() => room?.remove());

/** What Helm would send to Kubernetes for these values, which stand above the chart's own, a level deep. */
async function rendered(given: Record<string, object | string>): Promise<Made[]> {
  const templates: Record<string, string> = {};
  for (const name of await readdir(`${CHART}/templates`)) {
    templates[name] = await readFile(`${CHART}/templates/${name}`, 'utf8');
  }
  const merged = { ...values };
  for (const [name, value] of Object.entries(given)) {
    merged[name] = typeof value === 'string' ? value : { ...(values[name] as object), ...value };
  }
  const Chart = Object.fromEntries(
    Object.entries(chart).map(([key, value]) => [key.replace(/^./, (c) => c.toUpperCase()), value]),
  );
  const data = { Values: merged, Release: { Name: 'presence', Service: 'Helm', Namespace: 'default' }, Chart };
  const child = spawn(join(room.path, 'render'), { stdio: ['pipe', 'pipe', 'pipe'] });
  const texts: [string, string] = ['', ''];
  for (const [n, stream] of [child.stdout, child.stderr].entries()) {
    stream.on('data', (chunk: Buffer) => {
      texts[n] += chunk.toString();
    });
  }
  child.stdin.end(JSON.stringify({ templates, data }));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(texts[1]);
  return Object.values(JSON.parse(texts[0]) as Record<string, string>).flatMap((text) =>
    parseAllDocuments(text).flatMap((document) => {
      expect(document.errors).toEqual([]);
      return document.toJSON() ?? [];
    }),
  );
}

const ALL = {
  existingSecret: 'rollcall',
  web: {
    autoscaling: { enabled: true, minReplicas: 2, maxReplicas: 8, connections: 3000 },
    nodeSelector: { disk: 'ssd' },
  },
  worker: { tolerations: [{ key: 'presence', operator: 'Exists' }] },
  ingress: {
    enabled: true,
    className: 'nginx',
    annotations: { 'example.com/timeout': '60' },
    tlsSecret: 'presence-tls',
  },
} satisfies Record<string, object | string>;

describe.each([
  [
    'with the least that it needs',
    { existingSecret: 'rollcall' },
    ['Deployment', 'Deployment', 'Job', 'PodDisruptionBudget', 'PodDisruptionBudget', 'Service'],
  ],
  [
    'with everything switched on',
    ALL,
    [
      'Deployment',
      'Deployment',
      'HorizontalPodAutoscaler',
      'Ingress',
      'Job',
      'PodDisruptionBudget',
      'PodDisruptionBudget',
      'Service',
    ],
  ],
] as const)('the Helm chart %s', (_, given, kinds) => {
  let made: Made[];
  const of = (kind: string, component?: string) =>
    made.find((one) => one.kind === kind && (component === undefined || one.metadata.name.endsWith(`-${component}`)));
  const containerOf = (one: Made) => one.spec.template.spec.containers[0];

  beforeAll(async () => {
    if (reason === undefined) made = await rendered(given);
  });

  test('makes what Kubernetes takes: its own schemas and types find nothing wrong, and no field that is not there', async (context) => {
    if (reason !== undefined) return context.skip(reason);
    expect(made.map(({ kind }) => kind).sort()).toEqual(kinds);
    const lines: string[] = [];
    for (const [n, one] of made.entries()) {
      const kind = one.kind as keyof typeof KINDS;
      const Kind: new (data: Made) => { validate(): void } = KINDS[kind];
      expect(one.apiVersion).toBe(MODULES[kind]);
      expect(() => new Kind(one).validate()).not.toThrow();
      lines.push(`import type { I${kind} as Kind${n} } from 'kubernetes-models/${MODULES[kind]}';`);
      lines.push(`export const made${n}: Kind${n} = ${JSON.stringify(one)};`);
    }
    const folder = join('.data', `helm-${process.pid}`);
    await mkdir(folder, { recursive: true });
    try {
      await writeFile(join(folder, 'made.ts'), lines.join('\n'));
      const args = [
        'node_modules/typescript/bin/tsc',
        '--ignoreConfig',
        '--noEmit',
        '--skipLibCheck',
        '--strict',
        '--module',
        'nodenext',
      ];
      const checked = promisify(execFile)(process.execPath, [...args, join(folder, 'made.ts')]);
      await checked.catch(({ stdout }) => expect.fail(stdout));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('runs the entries of the Procfile in the image, each with the Secret, and the migration before them', async (context) => {
    if (reason !== undefined) return context.skip(reason);
    const jobs = [of('Deployment', 'web'), of('Deployment', 'worker'), of('Job')];
    const entries = jobs.map((one) => entriesOf(containerOf(one).command.join(' ')));
    const { web, worker, release } = await procfile();
    expect(entries).toEqual([web, worker, release].map((command) => entriesOf(command ?? '')));
    const copied = copiedIntoImage(await readFile('Dockerfile', 'utf8'));
    for (const [entry = ''] of entries) {
      expect(existsSync(entry)).toBe(true);
      expect(copied.some((path) => entry === path || entry.startsWith(`${path}/`))).toBe(true);
    }
    for (const one of jobs) {
      expect(containerOf(one)).toMatchObject({
        image: `rollcall:${chart.appVersion}`,
        envFrom: [{ secretRef: { name: 'rollcall' } }],
      });
      expect(containerOf(one).securityContext.readOnlyRootFilesystem).toBe(true);
    }
    expect(of('Job').metadata.annotations['helm.sh/hook']).toBe('pre-install,pre-upgrade');
  });

  test('each budget, service and autoscaler means pods that are there, by their labels, ports and names', (context) => {
    if (reason !== undefined) return context.skip(reason);
    const pods = ['web', 'worker'].map((component) => of('Deployment', component).spec.template);
    const chosen = (labels: object) =>
      pods.filter((pod) => Object.entries(labels).every(([key, value]) => pod.metadata.labels[key] === value));
    for (const one of made.filter(({ kind }) => ['PodDisruptionBudget', 'Deployment'].includes(kind))) {
      expect(chosen(one.spec.selector.matchLabels)).toHaveLength(1);
    }
    const service = of('Service');
    const [pod] = chosen(service.spec.selector);
    const [port] = pod.spec.containers[0].ports;
    expect(service.spec.ports[0].targetPort).toBe(port.name);
    expect(containerOf(of('Deployment', 'web')).env).toContainEqual({
      name: 'PORT',
      value: String(port.containerPort),
    });
    const scaler = of('HorizontalPodAutoscaler');
    if (scaler) expect(scaler.spec.scaleTargetRef.name).toBe(of('Deployment', 'web').metadata.name);
    if (scaler) expect(of('Deployment', 'web').spec.replicas).toBeUndefined();
    const backend = of('Ingress')?.spec.rules[0].http.paths[0].backend.service;
    if (backend) expect(backend).toEqual({ name: service.metadata.name, port: { name: service.spec.ports[0].name } });
  });
});

test('without the name of a Secret the chart says what it needs', async (context) => {
  if (reason !== undefined) return context.skip(reason);
  await expect(rendered({})).rejects.toThrow(
    'existingSecret: name a Secret with REDIS_URL, DATABASE_URL and JWT_SECRET',
  );
});
