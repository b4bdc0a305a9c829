/**
 * Connections and listeners with Deno's interfaces, over the ring, in Deno and in Bun.
 *
 * ```ts
 * import { connect, listen } from "uringnet/adapters/deno";
 *
 * using listener = listen({ hostname: "127.0.0.1", port: 0 });
 * using client = await connect({ port: listener.addr.port });
 * using server = await listener.accept();
 * await client.write(new TextEncoder().encode("hello"));
 * const memory = new Uint8Array(16);
 * console.log(await server.read(memory)); // 5
 * ```
 *
 * `connect` and `listen` share one network for each thread, which the first call opens.
 * `toDenoConn` and `toDenoListener` wrap connections and listeners of a network that the program
 * has started itself. docs/DENO_NET.md compares them with Deno's own.
 *
 * @module
 */
import type { Listener } from "../net/accept/listener.ts";
import type { NetAddr, UnixAddr } from "./deno/addr.ts";
import { connectOver } from "./deno/connect.ts";
import type { DenoConn } from "./deno/deno_conn.ts";
import { DenoListener } from "./deno/deno_listener.ts";
import type { DenoTcpConn } from "./deno/deno_tcp_conn.ts";
import { listenOver } from "./deno/listen.ts";
import type {
  ConnectOptions,
  ListenOptions,
  UnixConnectOptions,
  UnixListenOptions,
} from "./deno/options.ts";
import { toDenoConn } from "./deno/to_deno_conn.ts";
import { sharedNetwork } from "./shared_network.ts";

export type { Addr, NetAddr, UnixAddr } from "./deno/addr.ts";
export type { DenoConn } from "./deno/deno_conn.ts";
export type { DenoListener } from "./deno/deno_listener.ts";
export type { DenoTcpConn } from "./deno/deno_tcp_conn.ts";
export {
  type DenoErrorClass,
  type DenoErrorName,
  type ErrorClasses,
  errors,
} from "./deno/errors.ts";
export type {
  ConnectOptions,
  ListenOptions,
  UnixConnectOptions,
  UnixListenOptions,
} from "./deno/options.ts";
export { toDenoConn };

/** `listener` with the interface of `Deno.Listener`. Closing the result closes the listener. */
export function toDenoListener(listener: Listener): DenoListener<DenoTcpConn, NetAddr> {
  return new DenoListener(listener);
}

/**
 * Connects, with the options of `Deno.connect`. Rejects with an error of `Deno.errors`, with the
 * reason of the signal, or with TypeError or RangeError for wrong options.
 */
export function connect(options: ConnectOptions): Promise<DenoTcpConn>;
/** Connects to a unix socket. */
export function connect(options: UnixConnectOptions): Promise<DenoConn<UnixAddr>>;
export async function connect(
  options: ConnectOptions | UnixConnectOptions,
): Promise<DenoTcpConn | DenoConn<UnixAddr>> {
  return toDenoConn(await connectOver(sharedNetwork(), options));
}

/**
 * Binds and listens, with the options of `Deno.listen`. The listener already listens when the call
 * returns. Throws an error of `Deno.errors`, or TypeError or RangeError for wrong options.
 */
export function listen(options: ListenOptions): DenoListener<DenoTcpConn, NetAddr>;
/** Listens on a unix socket. */
export function listen(options: UnixListenOptions): DenoListener<DenoConn<UnixAddr>, UnixAddr>;
export function listen(
  options: ListenOptions | UnixListenOptions,
): DenoListener<DenoTcpConn, NetAddr> | DenoListener<DenoConn<UnixAddr>, UnixAddr> {
  return toDenoListener(listenOver(sharedNetwork(), options)) as
    | DenoListener<DenoTcpConn, NetAddr>
    | DenoListener<DenoConn<UnixAddr>, UnixAddr>;
}
