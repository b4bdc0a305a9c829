/**
 * Socket activation: the service manager binds and listens, and starts the program when it likes,
 * with the listening descriptors from number 3 on.
 *
 *   LISTEN_PID      the process that they are for
 *   LISTEN_FDS      how many there are
 *   LISTEN_FDNAMES  their names, with colons between them
 *
 * Source: sd_listen_fds_with_names(3)
 *
 * @module
 */
import { check } from "../../base/check.ts";
import { ERRNO } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { NetworkError } from "../../base/network_error.ts";
import { adoptDescriptor } from "../accept/adopt_descriptor.ts";
import type { Listener } from "../accept/listener.ts";
import { networkAccess } from "./network_access.ts";
import type { NetworkCore } from "./network_core.ts";

const FIRST_DESCRIPTOR = 3;
/** As sd_listen_fds_with_names(3) calls descriptors without a name. */
const NO_NAME = "unknown";

/**
 * The listeners that a service manager has passed to this process (systemd's socket activation), by
 * the names of `FileDescriptorName=`, else the socket unit's. Several of one name are told apart by
 * a colon and a number: "web", "web:2". The map is empty when there are none, or when they are for
 * another process.
 *
 * In Deno the environment must be readable: `--allow-env=LISTEN_FDS,LISTEN_PID,LISTEN_FDNAMES`.
 * Without that permission the map is empty.
 *
 * Rejects with a NetworkError "BindFailed" when the environment is malformed, or when a descriptor
 * is no listening stream socket; all of them stay open and as they were then.
 *
 * @example
 * ```ts
 * const activated = await activatedListeners(network);
 * const listener = activated.get("web.socket") ?? await network.bind("127.0.0.1:8080");
 * ```
 */
export function activatedListeners(network: object): Promise<Map<string, Listener>> {
  try {
    if (network === null || typeof network !== "object") {
      check.fail("network", "a Network", network);
    }
    return Promise.resolve(adopted(networkAccess().coreOf(network)));
  } catch (error) {
    return Promise.reject(error);
  }
}

function adopted(network: NetworkCore): Map<string, Listener> {
  const context = network.internals();
  const names = passedNames(context.host);
  const descriptors = names.map((_, index) => FIRST_DESCRIPTOR + index);
  if (descriptors.length > 0 && !context.accepting) {
    throw new NetworkError("Cannot adopt activated listeners: the network is closed", {
      code: "Closed",
      operation: "adopt",
    });
  }
  const listeners = new Map<string, Listener>();
  adoptDescriptor.adoptListeners(context, descriptors).forEach((listener, index) => {
    listeners.set(freeName(listeners, names[index]), listener);
  });
  return listeners;
}

function freeName(taken: ReadonlyMap<string, unknown>, name: string): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}:${number}`)) number++;
  return `${name}:${number}`;
}

/** One name for each descriptor. */
function passedNames(host: Host): string[] {
  const [process, count, given] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
    .map((name) => host.environment(name) ?? "");
  if (process !== String(host.processId) || count === "") return [];
  if (!/^\d+$/.test(count) || Number(count) > LIMITS.activatedCountMax) {
    throw malformed(`LISTEN_FDS is ${JSON.stringify(count)}`);
  }
  if (given === "") return new Array<string>(Number(count)).fill(NO_NAME);
  const names = given.split(":");
  if (names.length === Number(count)) return names.map((name) => name || NO_NAME);
  throw malformed(`LISTEN_FDNAMES has ${names.length} names for ${count} descriptors`);
}

function malformed(reason: string): NetworkError {
  return new NetworkError(`Cannot adopt activated listeners: ${reason}`, {
    code: "BindFailed",
    operation: "adopt",
    errno: ERRNO.EINVAL,
  });
}
