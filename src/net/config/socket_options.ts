/**
 * The options of one connection, as a program gives them.
 *
 * @module
 */
import type { KeepAlive } from "./config.ts";

/** Options of one connection. Fields that are left out keep their values. */
export interface SocketOptions {
  /**
   * TCP_NODELAY. No effect on unix sockets.
   * @default {undefined}
   */
  noDelay?: boolean;
  /**
   * SO_KEEPALIVE: on, off, or with its times. No effect on unix sockets.
   * @default {undefined}
   */
  keepAlive?: boolean | KeepAlive;
  /**
   * SO_SNDBUF, 1 to 1,073,741,823 bytes. The kernel doubles the number for its own needs, and
   * takes at most `net.core.wmem_max`.
   * @default {undefined}
   */
  sendBufferBytes?: number;
  /**
   * SO_RCVBUF, 1 to 1,073,741,823 bytes. The kernel doubles the number for its own needs, and
   * takes at most `net.core.rmem_max`. For windows above 64 KiB, pass the option to `dial`, because
   * it has to be set before the connect.
   * @default {undefined}
   */
  recvBufferBytes?: number;
  /**
   * TCP_USER_TIMEOUT, 0 to 2,147,483,647 ms: how long sent bytes may stay without acknowledgement
   * before the connection fails with ETIMEDOUT. 0 stands for the limit of the system. No effect on
   * unix sockets.
   * @default {undefined}
   */
  userTimeoutMs?: number;
  /**
   * The TOS byte of IPv4, the traffic class of IPv6, 0 to 255. No effect on unix sockets.
   * @default {undefined}
   */
  trafficClass?: number;
}
