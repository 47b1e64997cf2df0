import { readFile, writeFile } from 'node:fs/promises';

/** How many promises held and how many did not. */
export interface Tally {
  passed: number;
  failed: number;
}

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

/** Reads Vitest's JSON report. A file that failed before any of its tests could fail counts as one failure. */
export async function vitestTally(reportFile: string): Promise<Tally> {
  const report: VitestReport = JSON.parse(await readFile(reportFile, 'utf8'));
  const brokenFiles = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed'),
  );
  return { passed: report.numPassedTests, failed: report.numFailedTests + brokenFiles.length };
}

export function writeTally(file: string, tally: Tally): Promise<void> {
  return writeFile(file, `${tally.passed} passed, ${tally.failed} failed\n`);
}
