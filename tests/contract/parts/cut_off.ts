/**
 * A reset is never a clean end, and FIN is never a reset: in each order of events that the kernel
 * can meet, with and without urgent bytes, whether or not a send was told first.
 *
 *   peer: bytes, urgent bytes -> [FIN] -> [RST]       this side: [a send that fills the buffers]
 *
 * A send that stops early takes the error of the connection away from the receive, which then
 * returns 0 in both cases.
 *
 * @module
 */
import type { Connection, Listener, Network, NetworkConfig } from "../../../mod.ts";
import { assert } from "../../harness.ts";
import { RawPeer } from "../../support/raw_peer.ts";
import { type ContractSuite, expectEnd, expectText, pattern, SOON_MS, until } from "../fixture.ts";

/** More than a loopback connection takes before its peer reads. */
const STUCK_BYTES = 16 << 20;
const SMALL_BUFFER_BYTES = 32_768;

interface Ends extends AsyncDisposable {
  readonly peer: RawPeer;
  readonly server: Connection;
}

async function rawPair(network: Network): Promise<Ends> {
  const listener: Listener = await network.bind("127.0.0.1:0");
  const { port } = listener.localAddress as { port: number };
  const peer = RawPeer.connect(port, SMALL_BUFFER_BYTES);
  const server = await listener.accept();
  return {
    peer,
    server,
    async [Symbol.asyncDispose]() {
      peer.close();
      server.reset();
      await Promise.all([server.close(), listener.close()]);
    },
  };
}

/** Rounds of the event loop without progress, after which a send counts as stuck. */
const STUCK_ROUNDS = 20;

/**
 * The peer does not read, so the send comes to a halt. Before that, the portable backend hands the
 * runtime one window after the other, and Bun drops the unread bytes of a socket whose write fails.
 */
async function untilStuck({ server }: Ends): Promise<void> {
  let [sent, rounds] = [-1, 0];
  await until(() => {
    const { bytesSent } = server.sink;
    rounds = bytesSent === sent ? rounds + 1 : 0;
    sent = bytesSent;
    return sent > 0 && rounds >= STUCK_ROUNDS;
  }, "the send is stuck");
}

async function expectReset({ server }: Ends): Promise<void> {
  const first = server.stream.recvSome(undefined, { timeoutMs: SOON_MS });
  await assert.rejects(first, {
    code: "RecvFailed",
    errno: "ECONNRESET",
    endOfStream: false,
  });
  await assert.rejects(server.stream.recvSome(), { code: "Closed", endOfStream: false });
}

/** The bytes that the peer sends, and those of them that the stream shows. */
const BYTES: readonly (readonly [string, (peer: RawPeer) => void, string])[] = [
  ["no bytes", () => {}, ""],
  ["bytes", (peer) => peer.send("abc"), "abc"],
  ["an urgent byte alone", (peer) => peer.urgent("!"), ""],
  ["an urgent byte between others", (peer) => {
    peer.send("abc");
    peer.urgent("!");
    peer.send("def");
  }, "abcdef"],
  ["an urgent byte at the end", (peer) => peer.urgent("abc!"), "abc"],
];

export function cutOff(test: ContractSuite, _config: NetworkConfig): void {
  for (const [name, speak, text] of BYTES) {
    test(`RST after ${name} reported to a send is no clean end`, async ({ network }) => {
      await using ends = await rawPair(network);
      const sending = ends.server.sink.send(pattern(STUCK_BYTES));
      const failed = assert.rejects(sending, { code: "SendFailed" });
      await untilStuck(ends);
      speak(ends.peer);
      if (text !== "") await expectText(ends.server, text);
      ends.peer.reset();
      await failed;
      await expectReset(ends);
    });

    test(`RST after ${name}, unread, reported to a send is no clean end`, async (context) => {
      await using ends = await rawPair(context.network);
      const sending = ends.server.sink.send(pattern(STUCK_BYTES));
      const failed = assert.rejects(sending, { code: "SendFailed" });
      await untilStuck(ends);
      speak(ends.peer);
      ends.peer.reset();
      await failed;
      if (text !== "") await expectText(ends.server, text);
      await expectReset(ends);
    });

    test(`RST after ${name} is no clean end where nothing is sent`, async ({ network }) => {
      await using ends = await rawPair(network);
      speak(ends.peer);
      if (text !== "") await expectText(ends.server, text);
      ends.peer.reset();
      await expectReset(ends);
    });

    test(`RST after ${name} behind a half close of this side is no clean end`, async (context) => {
      await using ends = await rawPair(context.network);
      await ends.server.sink.close();
      speak(ends.peer);
      ends.peer.reset();
      if (text !== "") await expectText(ends.server, text);
      await expectReset(ends);
    });

    for (const reset of [false, true]) {
      const order = reset ? "FIN, then RST," : "FIN";
      test(`${order} after ${name} is a clean end although a send fails`, async ({ network }) => {
        await using ends = await rawPair(network);
        const sending = ends.server.sink.send(pattern(STUCK_BYTES));
        const failed = assert.rejects(sending, { code: "SendFailed" });
        await untilStuck(ends);
        speak(ends.peer);
        ends.peer.fin();
        if (!reset && text !== "") await expectText(ends.server, text);
        if (!reset) await expectEnd(ends.server);
        ends.peer.reset();
        await failed;
        if (reset && text !== "") await expectText(ends.server, text);
        await expectEnd(ends.server);
      });
    }

    test(`half closes of both after ${name}, in both orders, are clean ends`, async (context) => {
      for (const first of ["peer", "server"]) {
        await using ends = await rawPair(context.network);
        // A send that was cancelled in the middle leaves a doubt.
        const cut = ends.server.sink.send(pattern(STUCK_BYTES), { timeoutMs: 20 });
        await assert.rejects(cut, { code: "Timeout" });
        speak(ends.peer);
        if (first === "peer") ends.peer.fin();
        const closing = ends.server.sink.close();
        await until(() => {
          ends.peer.receive(STUCK_BYTES);
          return ends.server.sink.closed;
        }, "the sink closes");
        await closing;
        if (first === "server") ends.peer.fin();
        if (text !== "") await expectText(ends.server, text);
        await expectEnd(ends.server);
      }
    });
  }

  test("RST after several urgent bytes is no clean end", async (context) => {
    await using ends = await rawPair(context.network);
    const failed = assert.rejects(ends.server.sink.send(pattern(STUCK_BYTES)), {
      code: "SendFailed",
    });
    await untilStuck(ends);
    for (let i = 0; i < 5; i++) {
      ends.peer.urgent("!");
      ends.peer.send("x");
    }
    let shown = "";
    while (shown.replaceAll("!", "").length < 5) {
      shown += (await ends.server.stream.recvSome(undefined, { timeoutMs: SOON_MS }))?.text();
    }
    ends.peer.reset();
    await failed;
    await expectReset(ends);
  });
}
