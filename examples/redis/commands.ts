/**
 * The commands of a small Redis: strings, counters, lists, expiry, publish and subscribe. The
 * network is in `session.ts`.
 *
 * Keys and values are strings of one character for each byte (latin1): they take any bytes, and the
 * runtimes make them, compare them and write them faster than arrays.
 */
import type { Reply } from "./reply.ts";

/** A subscriber of channels. */
export interface Subscriber {
  readonly channels: Set<string>;
  /** Delivers a message that came to a channel. */
  deliver(channel: string, message: string): void;
}

type Value = string | string[];

const WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
const NO_INTEGER = "ERR value is not an integer or out of range";

/** The failure of a command, as reported to the client. */
export class CommandError extends Error {}

type Arguments = readonly string[];
type Command = (database: Database, reply: Reply, args: Arguments, client: Subscriber) => void;

export class Database {
  readonly #values = new Map<string, Value>();
  readonly #deadlines = new Map<string, number>();
  readonly #subscribers = new Map<string, Set<Subscriber>>();

  /** Runs one command; errors become replies. */
  run(name: string, args: Arguments, reply: Reply, client: Subscriber): void {
    const command = COMMANDS.get(name) ?? COMMANDS.get(name.toUpperCase());
    try {
      if (command === undefined) throw new CommandError(`ERR unknown command '${name}'`);
      if (args.length < command.min || args.length > command.max) {
        throw new CommandError(`ERR wrong number of arguments for '${name.toLowerCase()}' command`);
      }
      command.run(this, reply, args, client);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      reply.error(error.message);
    }
  }

  get(key: string): Value | undefined {
    const deadline = this.#deadlines.size === 0 ? undefined : this.#deadlines.get(key);
    if (deadline !== undefined && deadline <= Date.now()) this.delete(key);
    return this.#values.get(key);
  }

  text(key: string): string | undefined {
    const value = this.get(key);
    if (Array.isArray(value)) throw new CommandError(WRONG_TYPE);
    return value;
  }

  list(key: string): string[] {
    const value = this.get(key) ?? [];
    if (!Array.isArray(value)) throw new CommandError(WRONG_TYPE);
    return value;
  }

  set(key: string, value: Value): void {
    this.#values.set(key, value);
  }

  delete(key: string): boolean {
    this.#deadlines.delete(key);
    return this.#values.delete(key);
  }

  expire(key: string, deadlineMs: number | null): void {
    if (deadlineMs === null) this.#deadlines.delete(key);
    else this.#deadlines.set(key, deadlineMs);
  }

  deadline(key: string): number | undefined {
    return this.#deadlines.get(key);
  }

  get size(): number {
    return this.#values.size;
  }

  clear(): void {
    this.#values.clear();
    this.#deadlines.clear();
  }

  subscribe(channel: string, client: Subscriber): void {
    client.channels.add(channel);
    const known = this.#subscribers.get(channel);
    if (known === undefined) this.#subscribers.set(channel, new Set([client]));
    else known.add(client);
  }

  unsubscribe(channel: string, client: Subscriber): void {
    client.channels.delete(channel);
    const known = this.#subscribers.get(channel);
    if (known?.delete(client) && known.size === 0) this.#subscribers.delete(channel);
  }

  publish(channel: string, message: string): number {
    const subscribers = this.#subscribers.get(channel);
    for (const subscriber of subscribers ?? []) subscriber.deliver(channel, message);
    return subscribers?.size ?? 0;
  }
}

function integer(word: string): number {
  if (!/^-?(?:0|[1-9]\d{0,15})$/.test(word)) throw new CommandError(NO_INTEGER);
  return Number(word);
}

/** SET key value [NX | XX] [EX seconds | PX milliseconds | KEEPTTL] */
const set: Command = (database, reply, args) => {
  const [key, value] = args;
  let deadlineMs: number | null = null;
  let keepsDeadline = false;
  for (let i = 2; i < args.length; i++) {
    const option = args[i].toUpperCase();
    if (option === "NX" || option === "XX") {
      const exists = database.get(key) !== undefined;
      if (exists === (option === "NX")) return reply.nothing();
    } else if (option === "KEEPTTL") {
      keepsDeadline = true;
    } else if ((option === "EX" || option === "PX") && i + 1 < args.length) {
      deadlineMs = Date.now() + integer(args[++i]) * (option === "EX" ? 1_000 : 1);
    } else {
      throw new CommandError("ERR syntax error");
    }
  }
  database.set(key, value);
  if (!keepsDeadline) database.expire(key, deadlineMs);
  reply.simple("OK");
};

function add(sign: 1 | -1): Command {
  return (database, reply, [key, by]) => {
    const old = database.text(key);
    const sum = (old === undefined ? 0 : integer(old)) +
      sign * (by === undefined ? 1 : integer(by));
    if (!Number.isSafeInteger(sum)) throw new CommandError(NO_INTEGER);
    database.set(key, String(sum));
    reply.integer(sum);
  };
}

function push(end: "unshift" | "push"): Command {
  return (database, reply, [key, ...values]) => {
    const list = database.list(key);
    for (const value of values) list[end](value);
    database.set(key, list);
    reply.integer(list.length);
  };
}

const range: Command = (database, reply, [key, first, last]) => {
  const list = database.list(key);
  const place = (index: number) => index < 0 ? Math.max(list.length + index, 0) : index;
  const end = integer(last);
  const chosen = list.slice(place(integer(first)), end < 0 ? list.length + end + 1 : end + 1);
  reply.array(chosen.length);
  for (const value of chosen) reply.bulk(value);
};

const ttl: Command = (database, reply, [key]) => {
  if (database.get(key) === undefined) return reply.integer(-2);
  const deadline = database.deadline(key);
  reply.integer(deadline === undefined ? -1 : Math.ceil((deadline - Date.now()) / 1_000));
};

const expire: Command = (database, reply, [key, seconds]) => {
  const exists = database.get(key) !== undefined;
  if (exists) database.expire(key, Date.now() + integer(seconds) * 1_000);
  reply.integer(exists ? 1 : 0);
};

function change(kind: "subscribe" | "unsubscribe"): Command {
  return (database, reply, names, client) => {
    const channels = names.length > 0 ? names : [...client.channels];
    for (const channel of channels) {
      database[kind](channel, client);
      reply.array(3).bulk(kind).bulk(channel).integer(client.channels.size);
    }
  };
}

const MANY = Infinity;
const TABLE: readonly [name: string, min: number, max: number, run: Command][] = [
  ["PING", 0, 1, (_, reply, [word]) => word ? void reply.bulk(word) : reply.simple("PONG")],
  ["ECHO", 1, 1, (_, reply, [word]) => void reply.bulk(word)],
  ["GET", 1, 1, (database, reply, [key]) => reply.bulkOrNothing(database.text(key))],
  ["SET", 2, MANY, set],
  ["MGET", 1, MANY, (database, reply, keys) => {
    reply.array(keys.length);
    for (const key of keys) {
      const value = database.get(key);
      reply.bulkOrNothing(Array.isArray(value) ? undefined : value);
    }
  }],
  ["DEL", 1, MANY, (database, reply, keys) => {
    reply.integer(keys.filter((key) => database.delete(key)).length);
  }],
  ["EXISTS", 1, MANY, (database, reply, keys) => {
    reply.integer(keys.filter((key) => database.get(key) !== undefined).length);
  }],
  ["INCR", 1, 1, add(1)],
  ["DECR", 1, 1, add(-1)],
  ["INCRBY", 2, 2, add(1)],
  ["EXPIRE", 2, 2, expire],
  ["TTL", 1, 1, ttl],
  ["LPUSH", 2, MANY, push("unshift")],
  ["RPUSH", 2, MANY, push("push")],
  ["LLEN", 1, 1, (database, reply, [key]) => reply.integer(database.list(key).length)],
  ["LRANGE", 3, 3, range],
  ["PUBLISH", 2, 2, (database, reply, [channel, message]) => {
    reply.integer(database.publish(channel, message));
  }],
  ["SUBSCRIBE", 1, MANY, change("subscribe")],
  ["UNSUBSCRIBE", 0, MANY, change("unsubscribe")],
  ["DBSIZE", 0, 0, (database, reply) => reply.integer(database.size)],
  ["FLUSHALL", 0, 1, (database, reply) => {
    database.clear();
    reply.simple("OK");
  }],
  // The commands that clients send when they connect.
  ["SELECT", 1, 1, (_, reply) => reply.simple("OK")],
  ["CLIENT", 1, MANY, (_, reply) => reply.simple("OK")],
  ["CONFIG", 1, MANY, (_, reply) => void reply.array(0)],
  ["COMMAND", 0, MANY, (_, reply) => void reply.array(0)],
  ["INFO", 0, MANY, (_, reply) => void reply.bulk("redis_version:7.0.0\r\n")],
];

const COMMANDS = new Map(TABLE.map(([name, min, max, run]) => [name, { min, max, run }]));

/** The names by their letters as one number: five bits for each, in either case. */
const NAMES = new Map(TABLE.map(([name]) => {
  const bytes = new TextEncoder().encode(name);
  return [lettersOf(bytes, 0, bytes.length), name];
}));

/** As many letters as a number holds exactly. */
const LETTERS_MAX = 10;

function lettersOf(bytes: Uint8Array, start: number, end: number): number {
  let letters = 0;
  for (let at = start; at < end; at++) {
    const letter = bytes[at] | 32;
    if (letter < 97 || letter > 122) return 0;
    letters = letters * 32 + (letter & 31);
  }
  return letters;
}

/** The name of a known command, without a new string for each time that it is received. */
export function nameOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  return end - start > LETTERS_MAX ? undefined : NAMES.get(lettersOf(bytes, start, end));
}
