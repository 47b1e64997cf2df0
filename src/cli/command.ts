import type { ParseArgsConfig } from 'node:util';
import type { Rollcall } from '../backend/index.ts';
import type { Io, painter } from './output.ts';

/** What a command is given of its own line. */
export interface Given {
  positionals: string[];
  /** An option that takes a text. */
  text(name: string): string | undefined;
  texts(name: string): string[];
  flag(name: string): boolean;
  /** An option that takes a whole number. */
  count(name: string, fallback: number): number;
}

export interface Context {
  io: Io;
  given: Given;
  json: boolean;
  paint: ReturnType<typeof painter>;
  url: string;
  /** JWT_SECRET; throws a UsageError where there is none. */
  secret(): string;
  /** JWT_SECRET, where there is one. */
  secretIfAny(): string | undefined;
  /** Signs or hands out a service token. */
  serviceToken(): Promise<string>;
  backend(): Rollcall;
  /** Asks for a route of rooms, by its path. */
  ask<T>(method: 'GET' | 'DELETE', path: string, query?: object): Promise<T>;
  /** A line for people, and for programs with `--json`: one document, or one a line where it goes on. */
  say(text: string, json: unknown): void;
  /** What is no answer: how it stands, what is waited for. */
  note(text: string): void;
}

export interface Command {
  /** What follows its name on the line. */
  takes: string;
  does: string;
  /** More on it, for its own help. */
  more?: string;
  options?: NonNullable<ParseArgsConfig['options']>;
  /** How many words it takes beside options. */
  words: { least: number; most: number };
  /** Resolves when it is done; what it throws is told, and the exit code 1, or 2 for a UsageError. */
  run(context: Context): Promise<void>;
}

/** The line was wrong, or a setting that it needs is missing: exit code 2. */
export class UsageError extends Error {}
