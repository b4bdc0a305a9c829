import { LIMITS } from "../../../../src/base/limits.ts";
import { EndPace } from "../../../../src/net/socket/end_pace.ts";
import { assert, suite } from "../../../harness.ts";
import { ManualHost } from "../../../support/manual_host.ts";

const test = suite("EndPace");

test("a wait for the queued ends ends with the last of them, each time", async () => {
  const host = new ManualHost();
  const pace = new EndPace(host);
  const ended: string[] = [];
  const end = (name: string) =>
    pace.end({
      addCall() {},
      removeCall() {},
      endNow() {
        ended.push(name);
        host.block(LIMITS.endStepMs);
      },
    }, 0);
  end("at once");
  for (const name of ["queued", "queued later"]) {
    end(name);
    let isOver = false;
    const waiting = pace.emptied().then(() => isOver = true);
    for (let i = 0; i < 10; i++) await Promise.resolve();
    assert.is(isOver, false, `${name} has not ended`);
    for (const macrotask of host.macrotasks.splice(0)) macrotask();
    await waiting;
    assert.is(ended.at(-1), name);
  }
});

test.run();
