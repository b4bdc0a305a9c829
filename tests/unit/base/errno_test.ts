import { constants } from "node:os";
import { ERRNO, errnoName, errnoText } from "../../../src/base/errno.ts";
import { assert, suite } from "../../harness.ts";

const test = suite("errno");

test("ERRNO agrees with the operating system's own table", () => {
  const known = constants.errno as unknown as Record<string, number | undefined>;
  let compared = 0;
  for (const [name, number] of Object.entries(ERRNO)) {
    if (known[name] === undefined) continue;
    assert.is(number, known[name], name);
    compared++;
  }
  assert.ok(compared >= 30, `only ${compared} names to compare with`);
});

test("every row of ERRNO has its own number, its name and its words", () => {
  const numbers = Object.values(ERRNO);
  assert.is(new Set(numbers).size, numbers.length);
  for (const [name, number] of Object.entries(ERRNO)) {
    assert.is(errnoName(number), name);
    assert.match(errnoText(number), new RegExp(`^[a-z][a-z ]+ \\(${name}\\)$`));
  }
});

test("the names that the core compares with have the numbers of Linux", () => {
  const { EINTR, EAGAIN, ENOMEM, EINVAL, ENOSYS, ENOBUFS, ECANCELED, ECONNRESET } = ERRNO;
  assert.equal(
    [EINTR, EAGAIN, ENOMEM, EINVAL, ENOSYS, ENOBUFS, ECANCELED, ECONNRESET],
    [4, 11, 12, 22, 38, 105, 125, 104],
  );
});

test("every errno of calls on sockets and files has a name and words", () => {
  const numbers = { EXDEV: 18, ENODEV: 19, EISDIR: 21, EROFS: 30, EDOM: 33, ELOOP: 40, ENONET: 64 };
  const more = { ENOTDIR: 20, ENAMETOOLONG: 36, EDESTADDRREQ: 89, EPFNOSUPPORT: 96, EDQUOT: 122 };
  for (const [name, number] of Object.entries({ ...numbers, ...more })) {
    assert.is(ERRNO[name], number, name);
  }
  assert.is(errnoText(30), "read only file system (EROFS)");
  assert.is(errnoText(64), "machine is not on the network (ENONET)");
});

test("errnoName() and errnoText() accept numbers outside the table", () => {
  assert.is(errnoName(999), "E999");
  assert.is(errnoText(999), "E999");
});

test("ERRNO is frozen", () => {
  assert.ok(Object.isFrozen(ERRNO));
});

test.run();
