const TOKEN_LIMIT_MS = 15_000;

/** Keeps the application's token from one attempt to the next, until somebody says that it is of no more use. */
export function createTokens(getToken: () => string | Promise<string>) {
  let kept: string | undefined;

  async function next(): Promise<string> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('getToken took too long.')), TOKEN_LIMIT_MS);
    });
    try {
      kept = await Promise.race([getToken(), late]);
      return kept;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    /** `fresh`: the application was asked for it just now. */
    async current(): Promise<{ token: string; fresh: boolean }> {
      return kept === undefined ? { token: await next(), fresh: true } : { token: kept, fresh: false };
    },
    next,
    drop(): void {
      kept = undefined;
    },
  };
}
