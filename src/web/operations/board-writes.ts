import type { Queue } from 'bullmq';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { NotedAct } from '../../presence/acts.ts';
import { isValidId } from '../../presence/ids.ts';
import type { AuditApi } from '../../usecases/audit.ts';

/** What a write of the board is about, as its address and body say. */
type Write = FastifyRequest<{
  Params: { queueName?: string; jobId?: string; queueStatus?: string };
  Body: { data?: unknown; name?: string } | null | undefined;
}>;

/** The job that a write is about, as far as it is told. */
interface Named {
  job: string | null;
  users: string[];
}

/**
 * Notes in the audit what an operator does on the board: to which queue, and, where it is one job, which kind of job and whom
 * that is about. A job's id and data are not kept, for both may name users.
 */
export class BoardWrites {
  readonly #operator: string;
  readonly #audit: Pick<AuditApi, 'note'>;
  readonly #named = new WeakMap<FastifyRequest, Named>();

  /** `operator`: the name that is noted. */
  constructor(operator: string, audit: Pick<AuditApi, 'note'>) {
    this.#operator = operator;
    this.#audit = audit;
  }

  /** Notes every write that these pages answer with success, before they do. */
  noteAllOf(board: FastifyInstance, queues: readonly Queue[]): void {
    board.addHook('preHandler', async (request) => {
      // Afterwards it may be gone.
      if (isWrite(request)) this.#named.set(request, await named(request as Write, queues));
    });
    board.addHook('onSend', async (request, reply, payload) => {
      if (isWrite(request) && reply.statusCode < 400) await this.#note(request as Write);
      return payload;
    });
  }

  async #note(request: Write): Promise<void> {
    const { job, users } = this.#named.get(request) ?? { job: null, users: [] };
    const { queueName, queueStatus } = request.params;
    const detail = {
      queue: queueName ?? null,
      write: writeOf(request),
      ...(queueStatus === undefined ? {} : { status: queueStatus }),
      ...(job === null ? {} : { job }),
    };
    const subjects = users.length === 0 ? [null] : users;
    await this.#audit.note(
      ...subjects.map((subject): NotedAct => ({ actor: this.#operator, act: 'board', subject, detail })),
    );
  }
}

function isWrite({ method }: FastifyRequest): boolean {
  return method !== 'GET' && method !== 'HEAD';
}

/** The words of the address behind the queue: `retry`, `clean`, `update-data`, `job-schedulers remove`. */
function writeOf({ routeOptions, method }: FastifyRequest): string {
  const [, behind = ''] = (routeOptions.url ?? '').split('/api/queues');
  const words = behind.split('/').filter((part) => part !== '' && !part.startsWith(':'));
  return words.join(' ') || method.toLowerCase();
}

async function named({ params, body }: Write, queues: readonly Queue[]): Promise<Named> {
  const queue = queues.find(({ name }) => name === params.queueName);
  if (params.jobId !== undefined) {
    const job = await queue?.getJob(params.jobId);
    return { job: job?.name ?? null, users: usersIn(job?.data) };
  }
  return { job: null, users: usersIn(body?.data) };
}

/** Of a push whoever is told. */
function usersIn(data: unknown): string[] {
  const { to, userId, userIds }: { to?: unknown; userId?: unknown; userIds?: unknown } = Object(data);
  const found = typeof to === 'string' ? [to] : [userId, ...(Array.isArray(userIds) ? userIds : [])];
  return [...new Set(found.filter(isValidId))];
}
