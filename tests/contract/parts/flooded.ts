/**
 * A close whose peers go on sending: each of them gets all bytes that were sent before, however few
 * they are, and however late it reads.
 *
 * The peers speak to the kernel, because a runtime may drop what it has not read when its own send
 * fails.
 *
 * @module
 */
import { type Connection, type Listener, type NetworkConfig } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import { RawPeer } from "../../support/raw_peer.ts";
import { type ContractSuite, pattern, pause, settlesWithin, started, until } from "../fixture.ts";

const PEER_COUNT = 4;
/** More than the buffers of both ends, and a close that gives up by a count of bytes, can hold. */
const FLOODED_BYTES = 24 << 20;
/** Long for a peer that is only busy. */
const SILENT_MS = 300;
/** A send that takes as long waits for the peer to read. */
const STUCK_MS = 200;

interface Case {
  readonly name: string;
  readonly pieceBytes: number;
  readonly pieceCount: number;
  readonly receiveBufferBytes: number;
  /** How long the peer neither sends nor reads after the close. */
  readonly silentMs: number;
}

/** All of them send more than the peer's buffer takes, and most of them less than the kernel's. */
const CASES: readonly Case[] = [
  {
    name: "one small send",
    pieceBytes: 12_000,
    pieceCount: 1,
    receiveBufferBytes: 4_096,
    silentMs: 0,
  },
  {
    name: "small sends",
    pieceBytes: 4_000,
    pieceCount: 15,
    receiveBufferBytes: 8_192,
    silentMs: 0,
  },
  {
    name: "more than the kernel takes",
    pieceBytes: 4_000,
    pieceCount: 3_000,
    receiveBufferBytes: 0,
    silentMs: 0,
  },
  {
    name: "large sends, and a silence",
    pieceBytes: 65_536,
    pieceCount: 16,
    receiveBufferBytes: 30_000,
    silentMs: SILENT_MS,
  },
];

async function connected(listener: Listener, receiveBufferBytes: number) {
  const { port } = listener.localAddress as { port: number };
  const peer = RawPeer.connect(port, receiveBufferBytes);
  return { peer, server: await listener.accept() };
}

/**
 * Sends one piece after the other, so that none of them joins another, until all is sent or the
 * kernel takes no more.
 */
async function sendPieces({ sink }: Connection, { pieceBytes, pieceCount }: Case): Promise<void> {
  const bytes = pattern(pieceBytes);
  for (let i = 0; i < pieceCount; i++) {
    const controller = new AbortController();
    const sent = sink.send(bytes, { signal: controller.signal });
    const settled = sent.then(() => true, () => false);
    if (!await settlesWithin(settled, STUCK_MS)) controller.abort();
    if (!await settled) return;
  }
}

async function closeFlooded(listener: Listener, chosen: Case): Promise<void> {
  const { peer, server } = await connected(listener, chosen.receiveBufferBytes);
  try {
    await sendPieces(server, chosen);
    const { bytesSent } = server.sink;
    assert.ok(bytesSent > chosen.receiveBufferBytes, `${bytesSent} bytes were taken`);
    const closing = server.close();
    if (chosen.silentMs > 0) await pause(chosen.silentMs);
    // A reset ends the flood, and the loss shows below.
    for (let flooded = 0; flooded < FLOODED_BYTES && !peer.isClosed; await pause(1)) {
      flooded += peer.flood();
    }
    let received = 0;
    await until(() => {
      const count = peer.receive(1 << 16);
      received += count;
      peer.flood();
      return received === bytesSent || (count === 0 && peer.isClosed);
    }, "the peer has everything");
    assert.is(received, bytesSent);
    peer.close();
    await closing;
  } finally {
    peer.close();
    server.reset();
    await server.close();
  }
}

export function flooded(test: ContractSuite, config: NetworkConfig): void {
  for (const chosen of CASES) {
    test(`close while peers only send: they get all bytes (${chosen.name})`, async () => {
      // A busy machine may need longer than the default budget of a close.
      await using own = await started({ ...config, shutdownTimeoutMs: null });
      const listener = await own.network.bind("127.0.0.1:0");
      await Promise.all(
        Array.from({ length: PEER_COUNT }, () => closeFlooded(listener, chosen)),
      );
      await listener.close();
    });
  }
}
