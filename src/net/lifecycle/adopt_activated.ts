/**
 * Socket activation: the service manager binds and listens. The service manager starts the program
 * later, with the listening descriptors from number 3 on.
 *
 *   LISTEN_PID      the process that the descriptors are for
 *   LISTEN_FDS      the number of descriptors
 *   LISTEN_FDNAMES  their names, with colons between them
 *
 * Source: sd_listen_fds_with_names(3)
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import type { Host } from "../../base/host.ts";
import { LIMITS } from "../../base/limits.ts";
import { NetworkError } from "../../base/network_error.ts";
import { adoptDescriptor } from "../accept/adopt_descriptor.ts";
import type { Listener } from "../accept/listener.ts";
import type { NetworkContext } from "../socket/network_context.ts";

const FIRST_DESCRIPTOR = 3;
/** The name of a descriptor without a name in sd_listen_fds_with_names(3). */
const NO_NAME = "unknown";

/** The listeners by their names. Throws a NetworkError "BindFailed" or "Closed". */
export function adoptActivated(context: NetworkContext): Map<string, Listener> {
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
