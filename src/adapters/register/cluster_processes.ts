/**
 * The processes of `node:cluster`. Their servers share ports through the primary, by messages and
 * handles that only the runtime's own servers understand. So a worker process keeps the runtime's
 * modules, and in a primary the server that stands for its workers stays the runtime's.
 *
 * @module
 */
import process from "node:process";
import { type Exports, nodeModules } from "./node_modules.ts";

type CreateServer = (...args: unknown[]) => unknown;

/** The name of the listener with which Bun's primary makes a server for its workers. */
const PRIMARY_LISTENER = "bound onServerConnection";

/**
 * Whether `node:cluster` has forked this process. A worker has a channel to its primary, so a
 * process without one does not load the module.
 */
function isWorker(): boolean {
  return typeof process.send === "function" && nodeModules("cluster").isWorker === true;
}

/** Whether this process has forked workers that may share servers. */
function hasWorkers(): boolean {
  const { isPrimary, workers } = nodeModules("cluster") as Exports;
  return isPrimary === true && Object.keys(workers ?? {}).length > 0;
}

/**
 * `createServer` for Bun, whose primary makes its servers by the replaced module: those are made by
 * `original`, all others by `ours`.
 */
function createServerBeside(ours: CreateServer, original: CreateServer): CreateServer {
  const name = "createServer";
  return {
    [name](options: unknown, listener: unknown): unknown {
      const standsForWorkers = typeof listener === "function" &&
        listener.name === PRIMARY_LISTENER && hasWorkers();
      return (standsForWorkers ? original : ours)(options, listener);
    },
  }[name];
}

export const clusterProcesses = { isWorker, hasWorkers, createServerBeside };
