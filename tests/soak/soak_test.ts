/**
 * The soak itself, for a few seconds and without faults, and the line that it draws.
 *
 * @module
 */
import { assert, suite } from "../harness.ts";
import { endChildren, start } from "../lifecycle/child.ts";
import { Tally } from "./tally.ts";
import { trendOf } from "./trend.ts";

const MIB = 1 << 20;

const test = suite("soak", {}, { timeoutMs: 120_000 });

test.after(() => endChildren());

test("a soak of a few seconds: every byte is right and nothing is left", async () => {
  const args = ["--minutes", "0.05"];
  const folder = new URL("./", import.meta.url);
  const { code, output } = await start("soak", { folder, collects: true, args }).ended;
  assert.is(code, 0, output);
  assert.match(output, "every byte right, nothing left");
});

test("the trend of memory that grows by 7 MiB in an hour is 7, with no error", () => {
  const samples = Array.from({ length: 100 }, (_, i) => ({
    seconds: i * 36,
    rssBytes: 100 * MIB + (7 * MIB * i) / 100,
  }));
  const trend = trendOf(samples);
  assert.ok(Math.abs((trend?.mibPerHour ?? 0) - 7) < 1e-6);
  assert.ok((trend?.errorMibPerHour ?? 1) < 1e-6);
});

test("the trend of noise says how little it knows", () => {
  const samples = Array.from({ length: 50 }, (_, i) => ({
    seconds: i * 5,
    rssBytes: (100 + (i % 2)) * MIB,
  }));
  const trend = trendOf(samples);
  assert.ok(Math.abs(trend?.mibPerHour ?? 99) < (trend?.errorMibPerHour ?? 0));
  assert.is(trendOf(samples.slice(0, 2)), null);
});

test("a soak that gets a wrong byte reports it, with its position", () => {
  const tally = new Tally();
  tally.compare("somebody", 5, 0, new Uint8Array(10));
  assert.is(tally.complaintCount, 1);
  assert.match(tally.complaints[0], "somebody: wrong bytes among 10 at 0");
});

test("a soak names the actor that does not move", () => {
  const tally = new Tally();
  tally.movedAt.set("slow", performance.now() - 1_000);
  tally.verified("quick", 1);
  assert.equal(tally.stuck(500), ["slow"]);
});

test.run();
