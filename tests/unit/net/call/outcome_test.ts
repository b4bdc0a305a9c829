import { ERRNO } from "../../../../src/base/errno.ts";
import { type Outcome, outcomeOf } from "../../../../src/net/call/outcome.ts";
import { assert, suite } from "../../../harness.ts";

const test = suite("outcomeOf");

test("outcomeOf() distinguishes progress, the end and an error", () => {
  assert.equal([1, 2 ** 31 - 1].map(outcomeOf), ["progress", "progress"]);
  assert.is(outcomeOf(0), "zero");
});

test("only EAGAIN and EINTR are tried at once, only ENOBUFS and ENOMEM later", () => {
  const special: Record<string, Outcome> = {
    EAGAIN: "again",
    EINTR: "again",
    ENOBUFS: "later",
    ENOMEM: "later",
    ECANCELED: "canceled",
  };
  for (const [name, errno] of Object.entries(ERRNO)) {
    assert.is(outcomeOf(-errno), special[name] ?? "error", name);
  }
  assert.is(outcomeOf(-4_095), "error", "an unknown errno");
});

test.run();
