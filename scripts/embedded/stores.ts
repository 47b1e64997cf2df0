import type { ServerProcess } from './server-process.ts';

/** A private Redis on 127.0.0.1 with `noeviction`. It ends with the process that started it, however that ends. */
export interface EmbeddedRedis extends ServerProcess {
  readonly url: string;
  readonly port: number;
  /** Stops and starts it on the same port: with its data (needs `appendonly`), or empty. */
  restart(options: { empty: boolean }): Promise<void>;
  /** Stops it for good and removes its data. */
  stop(): Promise<void>;
}

/** A private PostgreSQL on 127.0.0.1. It ends with the process that started it, however that ends. */
export interface EmbeddedPostgres extends ServerProcess {
  /** Address of the database `postgres`. */
  readonly url: string;
  readonly port: number;
  /** Creates a database, as a copy of `template` where given, and returns its address. */
  createDatabase(name: string, template?: string): Promise<string>;
  /** Stops (fast: running statements are cut off) and starts it with the same data on the same port. */
  restart(): Promise<void>;
  /** Stops it for good and removes its data. */
  stop(): Promise<void>;
}
