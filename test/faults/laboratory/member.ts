import { Program, type ProgramOptions } from '../../support/deployment.ts';
import { Link } from '../../support/link.ts';
import type { RedisPair } from './redis-pair.ts';
import type { Disturbances } from './spans.ts';

export interface MemberPlan {
  /** `web0`, `worker1`: the name of what is disturbed, too. */
  name: string;
  kind: 'web' | 'worker';
  /** Of a web. */
  port: number;
  env: Record<string, string>;
  options: ProgramOptions;
  links: { redis: Link; postgres: Link };
}

/** One web or worker process, which may die, freeze, be told to go, lose its links or its sense of time, and is started again. */
export class Member {
  readonly name: string;
  readonly kind: 'web' | 'worker';
  readonly port: number;
  readonly redisLink: Link;
  readonly postgresLink: Link;
  /** When it was told to go and handed its sessions over. */
  readonly drains: number[] = [];
  /** When it was killed: what only it knew is lost. */
  readonly kills: number[] = [];
  readonly #plan: MemberPlan;
  readonly #disturbances: Disturbances;
  #program: Program | null = null;
  #ending = false;
  #clockMoved = false;
  #starting: Promise<void> | null = null;
  readonly #faults: string[] = [];
  #heardLines = 0;

  constructor(plan: MemberPlan, disturbances: Disturbances) {
    this.name = plan.name;
    this.kind = plan.kind;
    this.port = plan.port;
    this.redisLink = plan.links.redis;
    this.postgresLink = plan.links.postgres;
    this.#plan = plan;
    this.#disturbances = disturbances;
  }

  static async links(redis: RedisPair, postgresPort: number): Promise<MemberPlan['links']> {
    const [toRedis, postgres] = await Promise.all([redis.link(), Link.to(postgresPort)]);
    return { redis: toRedis, postgres };
  }

  get pid(): number {
    return this.running ? (this.#program?.pid ?? 0) : 0;
  }

  get running(): boolean {
    return this.#program?.running ?? false;
  }

  /** Starts it where it does not run; resolves when it says that it has started. */
  start(): Promise<void> {
    this.#starting ??= this.#start().finally(() => {
      this.#starting = null;
    });
    return this.#starting;
  }

  async kill(): Promise<void> {
    this.kills.push(Date.now());
    await this.#end('SIGKILL');
  }

  /** An orderly end, as a platform asks for it. */
  async terminate(): Promise<void> {
    this.thaw();
    const place = this.drains.push(Date.now()) - 1;
    const program = this.#program;
    // It hands its sessions over when it says so, which on a busy machine is a while after it was told to go.
    void program?.said(/"msg":"Draining/).then(
      () => {
        const line = program.lines.find((said) => said.includes('"msg":"Draining'));
        if (line && !this.#clockMoved) this.drains[place] = Date.parse(JSON.parse(line).time);
      },
      () => {},
    );
    await this.#end('SIGTERM');
  }

  freeze(): void {
    this.#disturbances.begin(this.name);
    this.#program?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#program?.kill('SIGCONT');
    this.#recover();
  }

  /** Its clock jumps, and at the next call jumps back. One that is still starting does not know the signal yet. */
  moveClock(): void {
    if (this.#starting) return;
    this.#clockMoved = !this.#clockMoved;
    this.#program?.kill('SIGUSR2');
  }

  /** Its connections to Redis: half-open, broken and refused, or late. */
  loseRedis(how: 'cut' | 'refuse' | number): void {
    this.#disturbances.begin(this.name);
    this.#disturbances.begin(`redis@${this.name}`);
    if (how === 'cut') this.redisLink.cut();
    else if (how === 'refuse') this.redisLink.refuse();
    else this.redisLink.delay(how);
  }

  mendRedis(): void {
    this.redisLink.mend();
    this.#disturbances.end(`redis@${this.name}`);
    this.#recover();
  }

  async heal(): Promise<void> {
    this.redisLink.mend();
    this.postgresLink.mend();
    this.#disturbances.end(`redis@${this.name}`);
    this.thaw();
    if (this.#clockMoved) this.moveClock();
    await this.start();
  }

  /** What it logged as faults of its own since it was last asked, and ends that nobody asked for. */
  takeFaults(): string[] {
    if (this.#program) this.#hearFaults(this.#program);
    return this.#faults.splice(0);
  }

  async stop(): Promise<void> {
    this.#ending = true;
    await this.#program?.end();
    await Promise.all([this.redisLink.close(), this.postgresLink.close()]);
  }

  async #start(): Promise<void> {
    if (this.running) return;
    const { kind, env, options } = this.#plan;
    const program = new Program(kind === 'web' ? 'src/web/main.ts' : 'workers/main.ts', env, options);
    this.#program = program;
    this.#heardLines = 0;
    this.#ending = false;
    this.#clockMoved = false;
    void program.exited.then(({ code, signal }) => {
      this.#hearFaults(program);
      if (!this.#ending) this.#faults.push(`${this.name} ended by itself (${code ?? signal}): ${program.lines.at(-1)}`);
    });
    await program.said(/"msg":"started"/);
    this.#disturbances.end(this.name);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    // One that is still starting has not taken charge of its signals yet.
    await this.#starting;
    this.#ending = true;
    this.#disturbances.begin(this.name);
    this.#program?.kill(signal);
    await this.#program?.exited;
  }

  #recover(): void {
    if (this.running && !this.#disturbances.isOn(`redis@${this.name}`)) this.#disturbances.end(this.name);
  }

  #hearFaults({ lines }: Program): void {
    for (const line of lines.slice(this.#heardLines)) {
      if (/"level":"?(50|60|error|fatal)\b/.test(line)) this.#faults.push(`${this.name}: ${line}`);
    }
    this.#heardLines = lines.length;
  }
}
