import type { NetworkContext } from "../../../../src/net/socket/network_context.ts";
import {
  ANSWER_GIVEN,
  ANSWER_NEVER,
  ANSWER_OWED,
} from "../../../../src/net/socket/answer_state.ts";
import { SOCKET_ENDS } from "../../../../src/net/socket/socket_end.ts";
import { SocketState } from "../../../../src/net/socket/socket_state.ts";
import { assert, Random, suite } from "../../../harness.ts";

class OpenState extends SocketState {
  get end() {
    return this.lastEnd;
  }

  set end(end) {
    this.lastEnd = end;
  }
}

const test = suite("SocketState");

// With 2 to the 21st calls, the number has more than 32 bits.
for (const callCount of [0, 1 << 21]) {
  test(`no value changes another one, with ${callCount} calls`, () => {
    const random = new Random();
    const context = {
      references: 0,
      addReference: () => void context.references++,
      removeReference: () => void context.references--,
    };
    const state = new OpenState(context as unknown as NetworkContext);
    assert.equal([state.answer, state.peerEnd, state.end], [ANSWER_NEVER, "none", null]);
    for (let i = 0; i < callCount; i++) state.addCall();
    let calls = callCount;
    let isReferenced = true;
    let answer: SocketState["answer"] = ANSWER_NEVER;
    let peerEnd: SocketState["peerEnd"] = "none";
    let end: OpenState["end"] = null;
    for (let i = 0; i < 2_000; i++) {
      const step = random.pick(["add", "remove", "ref", "unref", "answer", "peerEnd", "end"]);
      if (step === "add") calls++, state.addCall();
      if (step === "remove" && calls > 0) calls--, state.removeCall();
      // Each takes one step for each call.
      if (step === "ref" && callCount === 0) isReferenced = true, state.ref();
      if (step === "unref" && callCount === 0) isReferenced = false, state.unref();
      if (step === "answer") {
        state.answer = answer = random.pick([ANSWER_NEVER, ANSWER_GIVEN, ANSWER_OWED]);
      }
      if (step === "peerEnd") state.peerEnd = peerEnd = random.pick(["none", "doubtful", "fin"]);
      if (step === "end") state.end = end = random.pick(SOCKET_ENDS);
      assert.is(context.references, isReferenced ? calls : 0);
      assert.equal([state.answer, state.peerEnd, state.end], [answer, peerEnd, end]);
      assert.is(state.ending, end !== null);
    }
    state.unref();
    assert.is(context.references, 0);
  });
}

test.run();
