/**
 * The arguments of `connect`, `createConnection` and `listen` in all their forms, as one object.
 *
 *   (options, callback?)   (port, host?, callback?)   (path, callback?)
 *
 * @module
 */
/** A function of the program. */
// deno-lint-ignore no-explicit-any
export type Callback = (...args: any[]) => void;

/** Options and callback, marked so that a second pass leaves them unchanged. */
export type SocketArguments = [options: Record<string, unknown>, callback: Callback | null] & {
  [NORMALIZED]?: true;
};

export const NORMALIZED: unique symbol = Symbol("uringnet.normalized");

/** A number of zero or more, or the text of one. */
function isPort(value: unknown): boolean {
  const port = typeof value === "string" ? Number(value) : value;
  return typeof port === "number" && port >= 0;
}

/** A text that is no port: a name in the file system. */
function isPath(value: unknown): value is string {
  return typeof value === "string" && !isPort(value);
}

function mark(options: Record<string, unknown>, callback: Callback | null): SocketArguments {
  const result: SocketArguments = [options, callback];
  result[NORMALIZED] = true;
  return result;
}

/** Reads arguments in any of the forms. */
function normalize(args: readonly unknown[]): SocketArguments {
  if (args.length === 0) return mark({}, null);
  const [first] = args;
  let options: Record<string, unknown> = {};
  if (typeof first === "object" && first !== null) options = first as Record<string, unknown>;
  else if (isPath(first)) options.path = first;
  else {
    options.port = first;
    if (args.length > 1 && typeof args[1] === "string") options.host = args[1];
  }
  const last = args.at(-1);
  return mark(options, typeof last === "function" ? last as Callback : null);
}

/** Like `normalize`, but returns normalized arguments unchanged. */
function read(args: readonly unknown[]): SocketArguments {
  const first = args[0] as SocketArguments | undefined;
  return Array.isArray(first) && first[NORMALIZED] === true ? first : normalize(args);
}

export const socketArguments = { isPath, normalize, read };
