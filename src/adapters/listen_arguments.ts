/**
 * The arguments of `server.listen` in all their forms, as one plan.
 *
 *   (port?, host?, backlog?, callback?)   (path, backlog?, callback?)   (options, callback?)
 *
 * @module
 */
import { builtinModule } from "../base/builtin_module.ts";
import { nodeError } from "./node_error.ts";
import { type Callback, socketArguments } from "./socket_arguments.ts";
import { validate } from "./validate.ts";
import { BACKLOG_DEFAULT, wholeBacklog } from "./whole_backlog.ts";

interface Common {
  /** The arguments as one object. */
  options: object;
  backlog: number;
  callback: Callback | null;
  signal: AbortSignal | undefined;
}

export type ListenPlan =
  & Common
  & (
    | { kind: "port"; port: number; host: string | null; ipv6Only: boolean; reusePort: boolean }
    | { kind: "path"; path: string; readableAll: boolean; writableAll: boolean }
    | { kind: "fd"; fd: number }
  );

/** A backlog that is a positional argument. */
function numberOf(value: unknown): number {
  const number = Number(value);
  return number >= 0 ? number : 0;
}

/** Whether the port was left out, which stands for any free port. */
function anyPort(args: readonly unknown[], options: Record<string, unknown>): boolean {
  return args.length === 0 || typeof args[0] === "function" || options.port === null ||
    ("port" in options && options.port === undefined);
}

/**
 * Whether this is a worker of `node:cluster`. Workers share a port through the kernel, which
 * distributes the connections.
 */
function isWorker(): boolean {
  return builtinModule<{ isWorker?: boolean }>("node:cluster").isWorker === true;
}

/** Throws Node's errors for arguments that name nothing to listen on. */
export function listenArguments(args: readonly unknown[]): ListenPlan {
  const [options, callback] = socketArguments.read(args);
  const byPlace = numberOf(args.length > 1 && args[1]) || numberOf(args.length > 2 && args[2]);
  const { fd, host, path, signal } = options;
  const common: Common = {
    options,
    backlog: wholeBacklog(Number(options.backlog || byPlace) || BACKLOG_DEFAULT),
    callback,
    signal: signal === undefined ? undefined : validate.signal(signal, "options.signal"),
  };
  if (typeof fd === "number" && fd >= 0) return { ...common, kind: "fd", fd };
  const port = anyPort(args, options) ? 0 : options.port;
  if (typeof port === "number" || typeof port === "string") {
    return {
      ...common,
      kind: "port",
      port: validate.port(port, "options.port"),
      host: host ? validate.text(host, "hostname") : null,
      ipv6Only: options.ipv6Only === true,
      reusePort: options.reusePort === true || (isWorker() && options.exclusive !== true),
    };
  }
  if (socketArguments.isPath(path)) {
    const { readableAll, writableAll } = options;
    const modes = { readableAll: Boolean(readableAll), writableAll: Boolean(writableAll) };
    return { ...common, kind: "path", path, ...modes };
  }
  if (!("port" in options || "path" in options)) {
    throw nodeError.argumentValue("options", options, 'must have the property "port" or "path"');
  }
  throw nodeError.argumentValue("options", options);
}
