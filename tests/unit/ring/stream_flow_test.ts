/**
 * When a ring receives a stream, and when it does not any more.
 *
 * @module
 */
import { LIMITS } from "../../../src/base/limits.ts";
import { COUNT, Meter } from "../../../src/base/meter.ts";
import { StreamFlow } from "../../../src/ring/stream_flow.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("StreamFlow");

const PIECE = 65_536;
/** Enough, although each of them counts for one small piece less. */
const PIECES = Math.ceil(LIMITS.streamFromBytes / (PIECE - LIMITS.streamPieceBytes));

function newFlow(): { flow: StreamFlow; meter: Meter } {
  const meter = new Meter();
  return { flow: new StreamFlow(meter), meter };
}

function receive(flow: StreamFlow, count: number, length = PIECE): void {
  for (let i = 0; i < count; i++) flow.received(length);
}

test("flows after so many bytes, and not before", () => {
  const { flow } = newFlow();
  receive(flow, PIECES - 1);
  assert.is(flow.flows, false);
  receive(flow, 1);
  assert.is(flow.flows, true);
});

test("a send ends it, however little was sent", () => {
  const { flow, meter } = newFlow();
  receive(flow, 10 * PIECES);
  meter.counts[COUNT.outboundBytes] += 1;
  receive(flow, 1);
  assert.is(flow.flows, false);
  receive(flow, PIECES);
  assert.is(flow.flows, true, "and it begins again");
});

test("a program that answers each large message is never in a stream", () => {
  const { flow, meter } = newFlow();
  for (let i = 0; i < 100; i++) {
    receive(flow, PIECES - 1);
    meter.counts[COUNT.outboundBytes] += 1_000_000;
    assert.is(flow.flows, false);
  }
});

test("a sleep ends it", () => {
  const { flow } = newFlow();
  receive(flow, 10 * PIECES);
  flow.interrupt();
  assert.is(flow.flows, false);
});

test("small pieces among large ones do not end it, a row of them does", () => {
  const { flow } = newFlow();
  for (let i = 0; i < 10 * PIECES; i++) receive(flow, 1, i % 5 === 0 ? 1 : PIECE);
  assert.is(flow.flows, true);
  receive(flow, 2 * LIMITS.streamFromBytes / LIMITS.streamPieceBytes, 1);
  assert.is(flow.flows, false);
});

test("small messages are no stream, however many come", () => {
  const { flow } = newFlow();
  receive(flow, 10_000, LIMITS.streamPieceBytes);
  assert.is(flow.flows, false);
});

test.run();
