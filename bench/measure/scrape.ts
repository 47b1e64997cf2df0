const USER = 'bench';
const PASSWORD = 'for the bench only';

/** The settings with which a worker can be asked at this port. */
export function scrapedAt(port: number): Record<string, string> {
  return { METRICS_PORT: String(port), ADMIN_USER: USER, ADMIN_PASSWORD: PASSWORD };
}

/** Every sample of a process by its name and labels, as Prometheus writes them. */
export class Scrape {
  readonly #samples: Map<string, number>;

  private constructor(samples: Map<string, number>) {
    this.#samples = samples;
  }

  static async of(port: number): Promise<Scrape> {
    const login = Buffer.from(`${USER}:${PASSWORD}`).toString('base64');
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { authorization: `Basic ${login}` } });
    if (!response.ok) throw new Error(`The metrics answered ${response.status}.`);
    const lines = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Scrape(
      new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))])),
    );
  }

  /** By how much a sample has risen since. */
  since(before: Scrape, sample: string): number {
    return (this.#samples.get(sample) ?? 0) - (before.#samples.get(sample) ?? 0);
  }
}
