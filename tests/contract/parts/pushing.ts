/**
 * The push seam over real sockets: consumers and producers, which adapters stand on.
 *
 * @module
 */
import type { NetworkConfig } from "../../../mod.ts";
import type { Consumer } from "../../../src/net/recv/push_receive.ts";
import { pushReceive } from "../../../src/net/recv/stream.ts";
import type { Producer } from "../../../src/net/send/push_send.ts";
import { pushSend } from "../../../src/net/send/sink.ts";
import { assert, bytesEqual } from "../../harness.ts";
import { concat, connect, type ContractSuite, pattern } from "../fixture.ts";

const LIMIT_BYTES = 65_536;

class Collector implements Consumer {
  readonly chunks: Uint8Array[] = [];
  readonly ended = Promise.withResolvers<unknown>();
  onData: (total: number) => boolean = () => true;
  total = 0;

  data(bytes: Uint8Array, start: number, end: number): boolean {
    this.chunks.push(bytes.slice(start, end));
    this.total += end - start;
    return this.onData(this.total);
  }

  end(): void {
    this.ended.resolve(null);
  }

  error(reason: unknown): void {
    this.ended.resolve(reason);
  }
}

class Poster implements Producer {
  room = Promise.withResolvers<void>();
  readonly over = Promise.withResolvers<unknown>();

  drained(): void {
    this.room.resolve();
    this.room = Promise.withResolvers();
  }

  finished(): void {
    this.over.resolve(null);
  }

  failed(reason: unknown): void {
    this.over.resolve(reason);
  }
}

export function pushing(test: ContractSuite, _config: NetworkConfig): void {
  test("a producer's bytes reach a consumer in order, whatever waits", async ({ network }) => {
    await using pair = await connect(network);
    const collector = new Collector();
    const receive = pushReceive(pair.server.stream, collector);
    let pauses = 0;
    collector.onData = () => {
      if (++pauses % 5 !== 0) return true;
      setTimeout(() => receive.resume(), 1);
      return false;
    };
    receive.resume();
    const poster = new Poster();
    const send = pushSend(pair.client.sink, poster, LIMIT_BYTES);
    const sent: Uint8Array[] = [];
    for (const length of [1, 100, 2_047, 2_048, 65_536, 65_537, 300_000, 10, 1_000_000, 5]) {
      const bytes = pattern(length, length);
      sent.push(bytes.slice());
      const { promise } = poster.room;
      if (!send.post(bytes)) await promise;
      // The producer may use its memory again.
      bytes.fill(0);
    }
    send.finish();
    assert.is(await poster.over.promise, null);
    assert.is(await collector.ended.promise, null);
    bytesEqual(concat(collector.chunks), concat(sent));
  });

  test("small chunks in a row reach a consumer, until it pauses", async ({ network }) => {
    await using pair = await connect(network);
    const collector = new Collector();
    const receive = pushReceive(pair.server.stream, collector);
    receive.resume();
    const sent: Uint8Array[] = [];
    for (let i = 0; i < 64; i++) {
      const bytes = pattern(64, i);
      sent.push(bytes);
      if (i === 40) collector.onData = () => false;
      await pair.client.sink.send(bytes);
      while (i <= 40 && collector.total < (i + 1) * 64) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.is(collector.total, 41 * 64, "a paused consumer is left alone");
    collector.onData = () => true;
    receive.resume();
    await pair.client.sink.close();
    assert.is(await collector.ended.promise, null);
    bytesEqual(concat(collector.chunks), concat(sent));
  });

  test("a reset reaches the consumer and the producer, each once", async ({ network }) => {
    await using pair = await connect(network);
    const collector = new Collector();
    pushReceive(pair.server.stream, collector).resume();
    const poster = new Poster();
    const send = pushSend(pair.server.sink, poster, LIMIT_BYTES);
    pair.client.reset();
    const received = await collector.ended.promise as { code: string; errno: string };
    assert.equal([received.code, received.errno], ["RecvFailed", "ECONNRESET"]);
    send.post(pattern(10));
    const failed = await poster.over.promise as { code: string };
    assert.is(failed.code, "SendFailed");
  });
}
