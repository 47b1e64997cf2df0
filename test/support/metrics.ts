/** The lock that these tests put in front of the metrics, as settings. */
export const LOCK = { ADMIN_USER: 'ops', ADMIN_PASSWORD: 'for-the-tests-only' };

/** Every sample by its name and labels, as Prometheus writes them. */
export async function samplesOf(url: string): Promise<Map<string, number>> {
  const login = Buffer.from(`${LOCK.ADMIN_USER}:${LOCK.ADMIN_PASSWORD}`).toString('base64');
  const response = await fetch(new URL('/metrics', url), { headers: { authorization: `Basic ${login}` } });
  if (!response.ok) throw new Error(`The metrics of ${url} answered ${response.status}`);
  const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

/** All samples of one name together, whatever their labels. */
export function total(samples: Map<string, number>, name: string): number {
  let sum = 0;
  for (const [sample, value] of samples) if (sample === name || sample.startsWith(`${name}{`)) sum += value;
  return sum;
}
