/**
 * Echoes messages over the loopback interface for a second, with the backend that would run.
 *
 * @module
 */
import { nowMs } from "../base/now_ms.ts";
import { Network } from "../../mod.ts";
import { messageOf } from "../base/network_error.ts";

const DURATION_MS = 1_000;
const MESSAGE_BYTES = 1_024;

export interface SelfTest {
  readonly backend: string | null;
  readonly echoes: number;
  readonly bytes: number;
  readonly durationMs: number;
  /** Null when all that was sent came back. */
  readonly failure: string | null;
}

export async function selfTest(): Promise<SelfTest> {
  let backend: string | null = null;
  let echoes = 0;
  const startMs = nowMs();
  let failure: string | null = null;
  try {
    await using network = await Network.start({ onFallback: () => {} });
    backend = network.backend;
    await using listener = await network.bind("127.0.0.1:0");
    const [client, server] = await Promise.all([
      network.dial(listener.localAddress),
      listener.accept(),
    ]);
    const echoing = (async () => {
      for (let data; (data = await server.stream.recvSome()) !== null;) {
        await server.sink.send(data);
      }
      await server.close();
    })();
    const message = new Uint8Array(MESSAGE_BYTES);
    while (nowMs() - startMs < DURATION_MS) {
      message.fill(++echoes);
      await client.sink.send(message);
      const answer = (await client.stream.recv(MESSAGE_BYTES)).toUint8Array();
      if (answer.some((byte, at) => byte !== message[at])) throw new Error("other bytes came back");
    }
    await client.close();
    await echoing;
  } catch (error) {
    failure = messageOf(error);
  }
  const durationMs = Math.round(nowMs() - startMs);
  return { backend, echoes, bytes: echoes * MESSAGE_BYTES, durationMs, failure };
}
