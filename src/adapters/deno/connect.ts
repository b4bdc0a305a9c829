/**
 * `Deno.connect` over the ring.
 *
 * @module
 */
import { lookup } from "node:dns/promises";
import { intrinsics } from "../../base/intrinsics.ts";
import { checkSignal } from "../../net/call/call_options.ts";
import type { Connection } from "../../net/connection/connection.ts";
import { interleave } from "../../net/address/interleave.ts";
import type { Network } from "../../../mod.ts";
import { denoError } from "./errors.ts";
import { type Candidate, happyEyeballs } from "./happy_eyeballs.ts";
import {
  type AnyOptions,
  checkHostname,
  checkPath,
  checkPort,
  checkTransport,
  type ConnectOptions,
  isNumeric,
  type UnixConnectOptions,
} from "./options.ts";

const ATTEMPT_DELAY_MS = 250;

/** The addresses of a name. Rejects with Deno's error when there are none. */
async function addressesOf(hostname: string): Promise<Candidate[]> {
  try {
    const found = await lookup(hostname, { all: true });
    return found.map(({ address, family }) => ({
      hostname: address,
      family: family === 6 ? 6 : 4,
    }));
  } catch (cause) {
    const missing = (cause as { code?: string }).code === "ENOTFOUND";
    const reason = missing ? "Name or service not known" : (cause as Error).message;
    throw new Error(`failed to lookup address information: ${reason}`, { cause });
  }
}

/** As `promise`, but the reason of the signal as soon as it is aborted. */
async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(intrinsics.abortReason(signal));
  intrinsics.listenToAbort(signal, abort);
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    intrinsics.ignoreAbort(signal, abort);
  }
}

/** Connects within the network's own time limit. Rejects with an error of `Deno.errors`. */
export async function connectOver(
  network: Network,
  options: ConnectOptions | UnixConnectOptions,
): Promise<Connection> {
  const fields: AnyOptions = options;
  if (checkTransport(fields.transport) === "unix") {
    const path = checkPath(fields.path);
    return await network.dial({ path }).catch((error) => {
      throw denoError(error);
    });
  }
  const port = checkPort(fields.port, 1);
  const hostname = checkHostname(fields.hostname, "127.0.0.1");
  const { autoSelectFamilyAttemptDelay } = fields;
  const autoSelectFamily = fields.autoSelectFamily ?? true;
  // Checked before the lookup begins: after that, the failure of the lookup would be unhandled.
  const signal = checkSignal(fields) ?? undefined;
  const dial = async (host: string, attemptSignal: AbortSignal | undefined) => {
    try {
      return await network.dial(
        { hostname: host, port },
        attemptSignal === undefined ? {} : { signal: attemptSignal },
      );
    } catch (error) {
      throw denoError(error);
    }
  };
  if (isNumeric(hostname) || !autoSelectFamily) return await dial(hostname, signal);
  const found = await orAborted(addressesOf(hostname), signal);
  const candidates = interleave(found, ({ family }) => family);
  const delayMs = Number(autoSelectFamilyAttemptDelay ?? ATTEMPT_DELAY_MS);
  return await happyEyeballs(
    candidates,
    delayMs,
    signal,
    (candidate, attemptSignal) => dial(candidate.hostname, attemptSignal),
    (late) => void late.close(),
  );
}
