import { rest, tokenFor } from '../../support/client.ts';
import type { World } from './world.ts';

/** The host application, which asks on behalf of its users. */
export class Host {
  readonly #world: World;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Resolves with the status of the answer, 0: nobody answered. It goes on waiting where a client would have given up. */
  ask(method: string, path: string, preferred: number, body?: object): Promise<number> {
    const open = this.#world.webs.filter((web) => web.running);
    const web = open[preferred % Math.max(1, open.length)];
    if (!web) return Promise.resolve(0);
    const asked = tokenFor('host', { scope: 'presence:read presence:write' })
      .then((token) => rest(`http://127.0.0.1:${web.port}`, method, path, body ? { token, body } : { token }))
      .then(({ status }) => status)
      .catch(() => 0)
      .finally(() => this.#underWay.delete(asked));
    this.#underWay.add(asked);
    return asked;
  }

  /** Resolves once whatever was asked has an answer, or will never have one. */
  async isAnswered(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
