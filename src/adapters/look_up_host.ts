/**
 * Finds the addresses of a host by the program's own `lookup` or the system's, with the events and
 * errors of `node:net`.
 *
 * @module
 */
import * as dns from "node:dns";
import { interleave } from "../net/address/interleave.ts";
import { nodeError } from "./node_error.ts";
import { runtimeNet } from "./runtime_net.ts";

export interface FoundAddress {
  address: string;
  family: 4 | 6;
}

type LookupCallback = (error: Error | null, address: unknown, family?: unknown) => void;
/** The shape of `dns.lookup`. */
export type Lookup = (host: string, options: LookupOptions, callback: LookupCallback) => void;

interface LookupOptions {
  family: unknown;
  hints: number;
  all?: boolean;
  port?: number;
}

export interface HostQuery {
  host: string;
  port: number;
  family: unknown;
  hints: unknown;
  /** The program's own; null for the system's. */
  lookup: Lookup | null;
  /** Whether addresses of both families are looked up, to be tried in turn. */
  all: boolean;
  /** Emits the 'lookup' event of the socket. */
  told(error: Error | null, address?: string, family?: number): void;
  /** False when the socket was closed meanwhile. */
  wanted(): boolean;
}

/** Of IPv6, then of IPv4. */
const LOOPBACK: readonly FoundAddress[] = [
  { address: "::1", family: 6 },
  { address: "127.0.0.1", family: 4 },
];

function isLocalhost(host: string): boolean {
  return /^(.*\.)?localhost\.?$/i.test(host);
}

type Outcome = (error: Error | null, addresses: readonly FoundAddress[]) => void;

/** Calls `done` asynchronously, unless a `lookup` of the program answers synchronously. */
export function lookUpHost(query: HostQuery, done: Outcome): void {
  const { host, all, family, lookup: given } = query;
  const lookup = given ?? dns.lookup as unknown as Lookup;
  const hints = Number(query.hints ?? 0);
  const options: LookupOptions = { family, hints };
  // Leaves out the addresses of a family that this machine cannot reach, unless the program has set
  // the family or hints.
  if (family !== 4 && family !== 6 && hints === 0) options.hints = dns.ADDRCONFIG;
  if (all) options.all = true;
  lookup(host, options, (error: Error | null, address: unknown, addressFamily?: unknown) => {
    if (!query.wanted()) return;
    if (error && given === null && isLocalhost(host)) {
      // RFC 6761: a loopback address, whatever the hosts file says.
      const chosen = LOOPBACK[family === 6 || family === "IPv6" ? 0 : 1];
      if (all) several(query, LOOPBACK, done);
      else one(query, chosen.address, chosen.family, done);
    } else if (error) {
      const reported = given === null ? nodeError.lookup(error) : error;
      query.told(reported, undefined, undefined);
      if (query.wanted()) done(reported, []);
    } else if (all) {
      several(query, address, done);
    } else {
      one(query, address, addressFamily, done);
    }
  });
}

/** Reports the address of an answer with one, and passes it on if a socket can connect to it. */
function one(
  query: HostQuery,
  address: unknown,
  family: unknown,
  done: Outcome,
): void {
  query.told(null, address as string, family as number);
  if (!query.wanted()) return;
  if (typeof address !== "string" || runtimeNet.isIP(address) === 0) {
    done(nodeError.invalidIp(address), []);
  } else if (family !== 4 && family !== 6) {
    done(nodeError.addressFamily(family, query.host, query.port), []);
  } else {
    done(null, [{ address, family }]);
  }
}

/**
 * Reports the addresses of an answer with several, and passes on those that a socket can connect
 * to. Families alternate, beginning with that of the first address.
 */
function several(query: HostQuery, answer: unknown, done: Outcome): void {
  const found = Array.isArray(answer) ? answer as Partial<FoundAddress>[] : [];
  const addresses: FoundAddress[] = [];
  for (const { address, family } of found) {
    query.told(null, address, family);
    if (!query.wanted()) return;
    if (typeof address !== "string" || runtimeNet.isIP(address) === 0) continue;
    if (family !== 4 && family !== 6) continue;
    addresses.push({ address, family });
  }
  if (addresses.length === 0) {
    const [entry] = found;
    const usable = typeof entry?.address === "string" && runtimeNet.isIP(entry.address) !== 0;
    done(
      usable
        ? nodeError.addressFamily(entry?.family, query.host, query.port)
        : nodeError.invalidIp(entry?.address),
      [],
    );
    return;
  }
  done(null, interleave(addresses, ({ family }) => family));
}
