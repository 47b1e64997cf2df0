import { readFile, writeFile } from 'node:fs/promises';

/** How many promises held and how many did not. */
export interface Tally {
  passed: number;
  failed: number;
}

interface VitestReport {
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
  }[];
}

/**
 * Reads Vitest's JSON report, of all files or of those alone that are named. A file that failed before any of its tests could fail
 * counts as one failure.
 */
export async function vitestTally(reportFile: string, files?: readonly string[]): Promise<Tally> {
  const { testResults }: VitestReport = JSON.parse(await readFile(reportFile, 'utf8'));
  const counted = testResults.filter(({ name }) => files === undefined || files.includes(name));
  const tests = counted.flatMap((file) => file.assertionResults);
  const brokenFiles = counted.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  const having = (status: string) => tests.filter((test) => test.status === status).length;
  return { passed: having('passed'), failed: having('failed') + brokenFiles.length };
}

/** By their full paths. */
export async function filesThatFailed(reportFile: string): Promise<string[]> {
  const { testResults }: VitestReport = JSON.parse(await readFile(reportFile, 'utf8'));
  return testResults.filter(({ status }) => status === 'failed').map(({ name }) => name);
}

/** What failed and why, to be read where the whole report is too long. */
export async function vitestFailures(reportFile: string): Promise<string[]> {
  const report: VitestReport = JSON.parse(await readFile(reportFile, 'utf8'));
  return report.testResults.flatMap(({ name, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === 'failed');
    if (failed.length === 0 && status === 'failed') return [`${name}: ${message}`];
    return failed.map(({ fullName, failureMessages }) => `${name}: ${fullName}\n${failureMessages.join('\n')}`);
  });
}

export function writeTally(file: string, tally: Tally): Promise<void> {
  return writeFile(file, `${tally.passed} passed, ${tally.failed} failed\n`);
}
