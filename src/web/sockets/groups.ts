/** Members of named groups. There may be very many groups, most of them with one member, which is kept without a set. */
export class Groups<Member extends object> {
  readonly #groups = new Map<string, Member | Set<Member>>();

  /** How many groups have a member. */
  get size(): number {
    return this.#groups.size;
  }

  /** Adds a member to a group; again, and nothing changes. */
  add(name: string, member: Member): void {
    const group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, member);
    else if (group instanceof Set) group.add(member);
    else if (group !== member) this.#groups.set(name, new Set([group, member]));
  }

  delete(name: string, member: Member): void {
    const group = this.#groups.get(name);
    if (group === member) this.#groups.delete(name);
    else if (group instanceof Set && group.delete(member) && group.size === 0) this.#groups.delete(name);
  }

  has(name: string): boolean {
    return this.#groups.has(name);
  }

  /** The members of a group, of one that has none nobody. */
  of(name: string): Iterable<Member> {
    const group = this.#groups.get(name);
    if (group === undefined) return [];
    return group instanceof Set ? group : [group];
  }

  /** The groups that have a member. */
  names(): Iterable<string> {
    return this.#groups.keys();
  }
}
