/**
 * A roster against a Set: the same members in any order of joining and leaving.
 *
 * @module
 */
import { Roster, type Rostered } from "../../../src/base/roster.ts";
import { assert, Random, suite } from "../../harness.ts";

const test = suite("Roster");

class Member implements Rostered {
  rosterIndex = -1;
  readonly id: number;

  constructor(id: number) {
    this.id = id;
  }
}

const ids = (members: Iterable<Member>) =>
  Array.from(members, ({ id }) => id).sort((a, b) => a - b);

test("members join and leave in any order, as in a Set", () => {
  const random = new Random();
  const members = Array.from({ length: 50 }, (_, id) => new Member(id));
  const roster = new Roster<Member>();
  const model = new Set<Member>();
  for (let i = 0; i < 5_000; i++) {
    const member = random.pick(members);
    if (random.chance(0.5) && !model.has(member)) {
      roster.add(member);
      model.add(member);
    } else {
      assert.is(roster.delete(member), model.delete(member));
    }
    assert.is(roster.size, model.size);
    assert.equal(ids(roster.all()), ids(model));
  }
});

test("all() is a copy: members may leave while the copy is walked", () => {
  const roster = new Roster<Member>();
  for (let id = 0; id < 10; id++) roster.add(new Member(id));
  const seen: number[] = [];
  for (const member of roster.all()) {
    seen.push(member.id);
    roster.delete(member);
  }
  assert.equal(seen.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.is(roster.size, 0);
});

test("an object that has left can join again, a member cannot", () => {
  const [roster, other] = [new Roster<Member>(), new Roster<Member>()];
  const member = new Member(1);
  roster.add(member);
  assert.throws(() => other.add(member));
  assert.ok(roster.delete(member));
  assert.not.ok(roster.delete(member));
  other.add(member);
  assert.equal(ids(other.all()), [1]);
});

test.run();
