import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { rest } from '../support/client.ts';
import { CALM, Deployment } from '../support/deployment.ts';
import { askedThings, type Document, Fuzzer, saidThings } from './fuzzing.ts';

const SEED = 20_260_131;

/** The inputs of both doors: so many events, and as many requests. No worker: nothing changes but by what is said. */
export function fuzzTests(runs: number): void {
  let rollcall: Deployment;
  let fuzzer: Fuzzer;
  const options = { numRuns: runs, seed: SEED, endOnFailure: false };

  beforeAll(async () => {
    rollcall = await Deployment.start('fuzz', { workers: 0, env: { ...CALM, MAX_SESSIONS_PER_USER: '5' } });
    fuzzer = new Fuzzer(rollcall);
  });
  afterAll(async () => {
    fuzzer?.close();
    await rollcall?.stop();
  });

  const expectWell = async () => {
    console.log(`seed ${SEED}, ${JSON.stringify(fuzzer.outcomes)}`);
    expect((await rest(rollcall.url, 'GET', '/healthz')).status).toBe(200);
    expect(rollcall.web(0).running).toBe(true);
    expect(rollcall.faults).toEqual([]);
    expect(fuzzer.outcomes.ok).toBeGreaterThan(runs / 20);
  };

  test(`${runs} events made from their schemas and spoilt: each is done or refused, and a refused one changes nothing`, async () => {
    await fc.assert(
      fc.asyncProperty(saidThings, (said) => fuzzer.say(said)),
      options,
    );
    await expectWell();
  }, 240_000);

  test(`${runs} requests made from the routes' own document and spoilt: the same`, async () => {
    const document: Document = (await rest(rollcall.url, 'GET', '/docs/json')).body;
    expect(Object.keys(document.paths).length).toBeGreaterThan(15);
    await fc.assert(
      fc.asyncProperty(askedThings(document), (asked) => fuzzer.ask(asked)),
      options,
    );
    await expectWell();
  }, 240_000);
}
