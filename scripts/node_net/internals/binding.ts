/**
 * The module that Node's tests find as `internal/test/binding`. They look there for the class
 * behind `socket._handle`, whose methods they count the calls of: that is the one of
 * `uringnet/net`.
 *
 * @module
 */
import { SocketHandle } from "../../../src/adapters/socket_handle.ts";

const BINDINGS: Readonly<Record<string, unknown>> = { tcp_wrap: { TCP: SocketHandle } };

export function internalBinding(name: string): unknown {
  const found = BINDINGS[name];
  if (found === undefined) throw new Error(`uringnet/net has no counterpart of "${name}"`);
  return found;
}
