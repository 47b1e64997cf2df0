import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../scripts/embedded/free-port.ts';
import { SHARDS } from '../../src/redis/keys.ts';
import { isActive, isInactive, rest, TestClient, tokenFor } from '../support/client.ts';
import { Collector, type Sent } from '../support/collector.ts';
import { BRISK, CALM, Deployment, eventually } from '../support/deployment.ts';

/** Spans are sent every five seconds. */
const SENT_WITHIN_MS = 15_000;
const EVERYTHING = { OTEL_TRACES_SAMPLER: 'always_on', OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' };

const names = (way: Sent[]) => way.map((span) => span.name);
const loaded = (lines: string[]) => lines.filter((line) => line.startsWith('LOADED '));

describe('with a collector', () => {
  let collector: Collector;
  let rollcall: Deployment;
  let watcher: TestClient;
  const tokens: string[] = [];

  const staying = async (userId: string, auth: Record<string, unknown> = {}) => {
    const token = await tokenFor(userId);
    tokens.push(token);
    return TestClient.connect(rollcall.web(0).url, userId, { token, heartbeat: 'pong', ...auth });
  };
  /** Everything of the trace in which the watchers' web told of something that began so, and the way there. */
  const told = (begins: (first: Sent) => boolean, cause: string) =>
    eventually(
      () =>
        collector.spans
          .filter((span) => span.name === 'deliver' && span.pid === rollcall.web(1).pid)
          .filter((span) => span.attributes['rollcall.cause'] === cause)
          .map((span) => collector.wayOf(span))
          .find((way) => begins(way.at(-1) as Sent)) ?? [],
      (way) => way.length > 1,
      SENT_WITHIN_MS,
    );
  const inTrace = (traceId: string | undefined) => collector.spans.filter((span) => span.traceId === traceId);

  beforeAll(async () => {
    collector = await Collector.start();
    const env = { ...BRISK, ...EVERYTHING, OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
    rollcall = await Deployment.start('tracing', { webs: 2, env });
    watcher = await TestClient.connect(rollcall.web(1).url, 'tracy-watcher', {
      heartbeat: 'pong',
      watch: ['tracy-ada', 'tracy-bob', 'tracy-cyd', 'tracy-dan', 'tracy-eve'],
    });
  });
  afterAll(async () => {
    await rollcall?.stop();
    await collector?.stop();
  });

  test('an event at one web, the job and the worker it takes, and the telling at another web are one trace', async () => {
    const ada = await staying('tracy-ada');
    await watcher.hears('tracy-ada', isActive);
    // Where a drain stays for what may come, a change goes with that one; here it is to have a job of its own.
    const leases = Array.from({ length: SHARDS }, (_, shard) => rollcall.key(`presence:lease-deliver:s${shard}`));
    await eventually(
      () => Promise.all(leases.map((lease) => rollcall.redis.exists(lease))),
      (held) => !held.includes(1),
    );
    await ada.socket.emitWithAck('set_status', { status: 'inactive' });
    await watcher.hears('tracy-ada', isInactive);
    const way = await told((first) => first.name === 'set_status', 'manual');
    expect(names(way)).toEqual(['deliver', 'broadcast', 'set_status']);
    const [web0, web1, worker] = [rollcall.web(0).pid, rollcall.web(1).pid, rollcall.worker(0).pid];
    expect(way.map((span) => span.pid)).toEqual([web1, worker, web0]);
    expect(way.map((span) => span.service)).toEqual(['rollcall-web', 'rollcall-worker', 'rollcall-web']);
    expect(way.at(-1)?.parentSpanId).toBe('');
    const [deliver] = way;
    const all = await eventually(
      () => inTrace(deliver?.traceId),
      (spans) => spans.some((span) => span.name === 'process broadcasts'),
      SENT_WITHIN_MS,
    );
    // What woke the worker, what it was woken by, and the job that the worker's part was done in.
    const job = all.find((span) => span.name === 'process broadcasts') as Sent;
    expect(names(collector.wayOf(job))).toEqual(['process broadcasts', 'addBulk broadcasts', 'set_status']);
    expect(way[1]?.links).toEqual([job.spanId]);
    expect(names(all)).toEqual(expect.arrayContaining(['redis set-status', 'record', 'redis publish']));
    ada.leave();
  });

  test('coming, what one says of oneself, typing and a goodbye are traced in the same way', async () => {
    const bob = await staying('tracy-bob');
    await watcher.hears('tracy-bob', isActive);
    await bob.socket.emitWithAck('set_detail', { text: 'unspeakable words' });
    await watcher.hears('tracy-bob', (change) => change.detail?.text === 'unspeakable words');
    const host = await tokenFor('tracy-host', { scope: 'presence:write' });
    tokens.push(host);
    const conversationId = 'tracy-talk';
    await rest(rollcall.url, 'PUT', `/conversations/${conversationId}/members/tracy-bob`, { token: host });
    await bob.socket.emitWithAck('join_conversation', { conversationId });
    await bob.socket.emitWithAck('start_indicator', { conversationId, kind: 'typing' });
    bob.leave();
    await watcher.hears('tracy-bob', isInactive, { after: 1 });
    expect(names(await told((first) => first.name === 'connect', 'connect'))).toEqual([
      'deliver',
      'broadcast',
      'connect',
    ]);
    expect(names(await told((first) => first.name === 'set_detail', 'detail'))).toEqual([
      'deliver',
      'broadcast',
      'set_detail',
    ]);
    expect(names(await told((first) => first.name === 'start_indicator', 'indicator'))).toHaveLength(3);
    // The worker makes the transition, for the web cannot know who else is there: in the job that the goodbye brought
    // about, unless the sweep happens to be there first.
    const goodbye = await told(({ name }) => name === 'disconnect' || name === 'sweep', 'disconnect');
    expect([
      ['deliver', 'broadcast', 'process timeouts', 'addBulk timeouts', 'disconnect'],
      ['deliver', 'broadcast', 'sweep'],
    ]).toContainEqual(names(goodbye));
  });

  test('a request goes on in the trace of its caller, with whatever it changes', async () => {
    const cyd = await staying('tracy-cyd');
    await watcher.hears('tracy-cyd', isActive);
    const traceId = '11112222333344445555666677778888';
    const token = await tokenFor('tracy-cyd');
    tokens.push(token);
    const response = await fetch(`${rollcall.url}/users/status?access_token=hidden-in-a-query`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        traceparent: `00-${traceId}-aaaabbbbccccdddd-01`,
        tracestate: 'vendor=state-of-a-caller',
        baggage: 'note=baggage-of-a-caller',
      },
      body: JSON.stringify({ status: 'inactive' }),
    });
    expect(response.status).toBe(200);
    await watcher.hears('tracy-cyd', isInactive);
    const way = await told((first) => first.traceId === traceId, 'manual');
    expect(names(way).slice(0, 2)).toEqual(['deliver', 'broadcast']);
    expect(way.at(-1)).toMatchObject({
      name: 'POST /users/status',
      parentSpanId: 'aaaabbbbccccdddd',
      attributes: { 'http.route': '/users/status', 'http.request.method': 'POST', 'http.response.status_code': 200 },
    });
    cyd.leave();
  });

  test('who falls silent is told of in a trace that begins with the job that found out', async () => {
    const dan = await staying('tracy-dan');
    await watcher.hears('tracy-dan', isActive);
    dan.fallSilent();
    await watcher.hears('tracy-dan', isInactive, { withinMs: 6000 });
    const way = await told((first) => first.name === 'process timeouts' || first.name === 'sweep', 'timeout');
    expect(names(way)).toEqual(['deliver', 'broadcast', way.at(-1)?.name]);
    expect(way.at(-1)).toMatchObject({ parentSpanId: '', service: 'rollcall-worker' });
    dan.leave();
  });

  test('heartbeats and looking on are in no trace, and a refusal says its code', async () => {
    const eve = await staying('tracy-eve', { heartbeat: 'event' });
    await eve.beat();
    await eve.watch('tracy-ada');
    const service = await TestClient.connect(rollcall.url, 'tracy-host', {
      token: await tokenFor('tracy-host', { scope: 'presence:read' }),
    });
    expect(await service.socket.emitWithAck('set_detail', {})).toMatchObject({ ok: false });
    const refused = await eventually(
      () => collector.spans.find((span) => span.attributes['rollcall.code'] === 'FORBIDDEN'),
      (span) => span !== undefined,
      SENT_WITHIN_MS,
    );
    expect(refused).toMatchObject({ name: 'set_detail', failed: false });
    for (const client of [eve, service]) client.leave();
    const seen = new Set(names(collector.spans));
    for (const name of ['heartbeat', 'watch', 'redis touch-plain', 'redis touch-sessions'])
      expect(seen).not.toContain(name);
    // Few names and few values, whoever comes.
    expect([...seen].filter((name) => /\d|tracy/.test(name))).toEqual([]);
  });

  test('stopping sends what is still unsent', async () => {
    const eve = await staying('tracy-eve');
    const web = rollcall.web(0);
    const before = collector.spans.filter((span) => span.pid === web.pid && span.name === 'set_status').length;
    await eve.socket.emitWithAck('set_status', { status: 'inactive' });
    web.kill('SIGTERM');
    expect(await web.exited).toEqual({ code: 0, signal: null });
    const after = collector.spans.filter((span) => span.pid === web.pid && span.name === 'set_status').length;
    expect(after).toBe(before + 1);
    eve.leave();
  });

  test('nothing that was sent names anybody or holds what somebody wrote', async () => {
    expect(collector.spans.length).toBeGreaterThan(50);
    const all = Buffer.concat(collector.received).toString();
    for (const word of ['tracy', 'unspeakable', 'hidden-in-a-query', 'of-a-caller']) expect(all).not.toContain(word);
    for (const token of tokens) {
      for (const part of token.split('.')) expect(all.includes(part)).toBe(false);
    }
    expect(all).not.toContain(Buffer.from('tracy').toString('base64').slice(0, 6));
    const keys = new Set(collector.spans.flatMap(({ attributes }) => Object.keys(attributes)));
    expect([...keys].sort()).toEqual([
      'bullmq.job.attempts.made',
      'bullmq.job.bulk.count',
      'bullmq.job.name',
      'bullmq.queue.name',
      'bullmq.queue.operation',
      'http.request.method',
      'http.response.status_code',
      'http.route',
      'rollcall.cause',
      'rollcall.changes',
      'rollcall.code',
    ]);
    expect(rollcall.faults).toEqual([]);
  });
});

describe('a collector that is not there', () => {
  test('breaks nothing, delays no way out and is told of once', async () => {
    const env = { ...CALM, ...EVERYTHING, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${await freePort()}` };
    const rollcall = await Deployment.start('tracing-away', { env });
    try {
      const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['ada'] });
      const ada = await TestClient.connect(rollcall.url, 'ada');
      await watcher.hears('ada', isActive);
      const [web, worker] = [rollcall.web(0), rollcall.worker(0)];
      await web.said(/Traces cannot be sent/);
      ada.leave();
      await watcher.hears('ada', isInactive);
      const begun = performance.now();
      for (const program of [web, worker]) program.kill('SIGTERM');
      for (const program of [web, worker]) expect(await program.exited).toEqual({ code: 0, signal: null });
      expect(performance.now() - begun).toBeLessThan(10_000);
      for (const { lines } of [web, worker]) {
        // The tests' Redis keeps nothing, and a start says so; a machine that is busy with other tests is shed for, or too slow
        // for a connection to PostgreSQL.
        const faults = lines.filter(
          (line) => /"level":"(warn|error|fatal)"/.test(line) && !/"(finding|shedLevel)"|timeout expired/.test(line),
        );
        expect(faults.filter((line) => !line.includes('Traces cannot be sent'))).toEqual([]);
        expect(faults.length).toBeLessThanOrEqual(1);
      }
      watcher.leave();
    } finally {
      await rollcall.stop();
    }
  });
});

describe('without a collector', () => {
  test('nothing of OpenTelemetry is loaded, and jobs and changes carry nothing more', async () => {
    const watching = { NODE_OPTIONS: '--import=./test/support/loaded-modules.ts' };
    const rollcall = await Deployment.start('tracing-off', { env: { ...CALM, ...watching } });
    const collector = await Collector.start();
    try {
      const watcher = await TestClient.connect(rollcall.url, 'watcher', { watch: ['ada'] });
      const ada = await TestClient.connect(rollcall.url, 'ada');
      await watcher.hears('ada', isActive);
      for (const { lines } of [rollcall.web(0), rollcall.worker(0)]) expect(loaded(lines)).toEqual([]);
      const jobs = await eventually(
        () => rollcall.redis.keys(`${rollcall.prefix}bull:timeouts:check-*`),
        (found) => found.length > 0,
      );
      for (const job of jobs) expect(await rollcall.redis.hget(job, 'opts')).not.toMatch(/"(tm|omc)"/);
      // Protobuf is what is sent unless JSON is asked for; a process of its own may trace beside others that do not.
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER: 'always_on' };
      const web = await rollcall.addWeb({ ...env, OTEL_EXPORTER_OTLP_HEADERS: 'api-key=of-the-operator' });
      const bob = await TestClient.connect(web.url, 'bob', { watch: ['ada', 'bob'] });
      ada.leave();
      await bob.hears('ada', isInactive);
      await bob.socket.emitWithAck('set_status', { status: 'inactive' });
      await bob.hears('bob', isInactive);
      web.kill('SIGTERM');
      await web.exited;
      expect(loaded(web.lines)).toContain('LOADED @opentelemetry/exporter-trace-otlp-proto');
      expect([...collector.types]).toEqual(['application/x-protobuf']);
      const all = Buffer.concat(collector.received).toString('latin1');
      for (const word of ['/v1/traces', 'of-the-operator', 'rollcall-web', 'connect']) expect(all).toContain(word);
      // By way of a worker that traces nothing, and hands on what it was handed.
      expect(all).toContain('deliver');
      expect(all).not.toContain('broadcast\u0012');
      expect(all).not.toMatch(/\b(ada|bob)\b/);
      for (const client of [watcher, bob]) client.leave();
    } finally {
      await rollcall.stop();
      await collector.stop();
    }
  });
});
