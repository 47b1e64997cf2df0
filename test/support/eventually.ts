/** Asks again and again until the answer satisfies; fails with the last answer. Deadlines are the contract's or generous. */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  satisfied: (answer: T) => boolean,
  withinMs = 15_000,
): Promise<T> {
  const until = performance.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (satisfied(answer)) return answer;
    if (performance.now() > until) throw new Error(`Still ${JSON.stringify(answer)} after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
