/**
 * `Deno.listen` over the ring. As in Deno, the listener already listens when the call returns. A
 * name would have to be looked up synchronously, which neither runtime can do, so names other than
 * "localhost" are refused.
 *
 * @module
 */
import type { Address } from "../../net/address/address.ts";
import type { Listener } from "../../net/accept/listener.ts";
import type { Network } from "../../../mod.ts";
import { networkAccess } from "../../net/lifecycle/network_access.ts";
import { denoError } from "./errors.ts";
import {
  type AnyOptions,
  checkBacklog,
  checkHostname,
  checkPath,
  checkPort,
  checkTransport,
  isNumeric,
  type ListenOptions,
  type UnixListenOptions,
} from "./options.ts";

function bindAddress(fields: AnyOptions): Address {
  if (checkTransport(fields.transport) === "unix") return { path: checkPath(fields.path) };
  const port = checkPort(fields.port ?? 0, 0);
  const hostname = checkHostname(fields.hostname, "0.0.0.0");
  if (hostname === "localhost") return { hostname: "127.0.0.1", port };
  if (!isNumeric(hostname)) {
    throw new TypeError(
      `Cannot listen on ${JSON.stringify(hostname)}: wanted an IP address or "localhost"; look ` +
        `the name up first, or use Network.bind`,
    );
  }
  return { hostname, port };
}

/** Binds and listens at once. Throws an error of `Deno.errors`. */
export function listenOver(
  network: Network,
  options: ListenOptions | UnixListenOptions,
): Listener {
  const fields: AnyOptions = options;
  const address = bindAddress(fields);
  const backlog = checkBacklog(fields.tcpBacklog);
  try {
    return networkAccess().coreOf(network).bindNow(address, {
      backlog,
      reusePort: Boolean(fields.reusePort),
    });
  } catch (error) {
    throw denoError(error);
  }
}
