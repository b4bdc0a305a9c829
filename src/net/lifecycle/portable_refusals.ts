/**
 * The options of calls that `node:net` cannot set. The portable backend refuses each by its name,
 * before it makes a socket.
 *
 * @module
 */
import { ERRNO } from "../../base/errno.ts";
import { NetworkError } from "../../base/network_error.ts";
import { SOCKET_OPTION } from "../../ring/port.ts";
import type { CheckedBindOptions } from "../accept/bind_options.ts";
import {
  formatAddress,
  isFile,
  isUnix,
  type SocketAddress,
  type UnixAddress,
} from "../address/address.ts";
import { AF_UNIX } from "../address/sockaddr.ts";
import type { CheckedDialOptions } from "../dial/dial_options.ts";
import { type SocketOption, socketOptions } from "../socket/socket_options.ts";

type NumericAddress = SocketAddress | UnixAddress;

const NO_SUCH_OPTION = "node:net has no such option";

/** The options of a socket that can be set before it connects. */
const KNOWN: readonly number[] = [
  SOCKET_OPTION.noDelay,
  SOCKET_OPTION.keepAlive,
  SOCKET_OPTION.keepIdle,
];

/** The error of a call that the portable backend refuses. `what` is the attempt with its option. */
function refusal(operation: "bind" | "dial", what: string, reason: string): NetworkError {
  return new NetworkError(`Cannot ${what} on the portable backend: ${reason}`, {
    code: "Unsupported",
    operation,
    errno: ERRNO.EOPNOTSUPP,
  });
}

/** Throws for an option of `bind` that `node:net` does not have. */
function checkBind(options: CheckedBindOptions, address: NumericAddress): void {
  const refuse = (how: string, reason: string): never => {
    throw refusal("bind", `bind ${formatAddress(address)} ${how}`, reason);
  };
  const { unlinkStale, mode, deferAcceptSeconds, interfaceName } = options;
  if (isFile(address) && unlinkStale) {
    refuse("with unlinkStale", "whether a socket is bound to a file is known to the kernel alone");
  }
  if (isFile(address) && mode !== null) {
    refuse("with a mode", "the runtime makes the file with the permissions of the umask");
  }
  if (deferAcceptSeconds > 0) refuse("with deferAcceptSeconds", NO_SUCH_OPTION);
  if (interfaceName !== null) refuse("with an interfaceName", NO_SUCH_OPTION);
}

/** The error of a `bind` that has to be done at once. */
function ofBindNow(address: NumericAddress): NetworkError {
  const reason = "the runtime listens from its event loop";
  return refusal("bind", `bind ${formatAddress(address)} at once`, reason);
}

/** Throws for an option of `dial` that `node:net` does not have. */
function checkDial(options: CheckedDialOptions, address: NumericAddress): void {
  const refuse = (how: string, reason: string): never => {
    throw refusal("dial", `connect to ${formatAddress(address)} ${how}`, reason);
  };
  const { local, socket } = options;
  if (local !== null && isUnix(local)) {
    const reason = "node:net gives a unix socket no name before it connects";
    refuse(`from localAddress ${formatAddress(local)}`, reason);
  }
  const isLost = ({ option }: SocketOption): boolean =>
    !KNOWN.includes(option) && (!isUnix(address) || socketOptions.suits(option, AF_UNIX));
  const lost = socket.find(isLost);
  if (lost === undefined) return;
  const reason = lost.name === "keepAlive" ? "node:net knows idleSeconds only" : NO_SUCH_OPTION;
  refuse(`with ${lost.name}`, reason);
}

export const portableRefusals = { checkBind, ofBindNow, checkDial };
