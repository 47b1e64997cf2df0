/** Why something was not answered, in words for the operator. */
export class Refusal extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const PATIENCE_MS = 10_000;

/** Asks the console's own routes. Rejects with a `Refusal`. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send('GET', path, signal);
  return (await response.json()) as T;
}

/** Ends something of a person. Rejects with a `Refusal`. */
export async function end(path: string): Promise<void> {
  await send('DELETE', path);
}

/** The address of a person's part, whatever is in the names. */
export function pathOf(...parts: string[]): string {
  return parts.map(encodeURIComponent).join('/');
}

async function send(method: string, path: string, signal?: AbortSignal): Promise<Response> {
  const signals = [AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
  let response: Response;
  try {
    // Relative to the page, which may lie below the path of a proxy.
    response = await fetch(new URL(`admin/api/${path}`, document.baseURI), {
      method,
      headers: { 'x-rollcall-console': '1' },
      signal: AbortSignal.any(signals),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal('UNREACHABLE', 'The server does not answer.');
  }
  if (response.ok) return response;
  const said: { code?: string; message?: string } = await response.json().catch(() => ({}));
  throw new Refusal(said.code ?? 'UNREACHABLE', said.message ?? `The server answers ${response.status}.`);
}
