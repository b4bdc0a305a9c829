import { ERRNO } from "../../../../src/base/errno.ts";
import { NetworkError } from "../../../../src/base/network_error.ts";
import { resolveConfig } from "../../../../src/net/config/config.ts";
import { explainRefusal, refuseUnsupported } from "../../../../src/net/config/refusal.ts";
import { assert, suite } from "../../../harness.ts";
import { thrown } from "../../../support/thrown.ts";

const MODERN = { kernel: "6.12.5-amd64", disabled: "0", memlockBytes: 8_388_608 };

const test = suite("refusal");

test("explainRefusal() names the sysctl, its value and the remedy", () => {
  for (const disabled of ["1", "2"]) {
    const text = explainRefusal(ERRNO.EPERM, { ...MODERN, disabled });
    assert.match(text, `kernel.io_uring_disabled=${disabled}`);
    assert.match(text, "sysctl -w kernel.io_uring_disabled=0");
    assert.not.match(text, "seccomp");
    assert.is(text.includes("kernel.io_uring_group"), disabled === "1");
  }
});

test("explainRefusal() suspects a seccomp filter when the sysctl allows", () => {
  for (const disabled of ["0", ""]) {
    for (const errno of [ERRNO.EPERM, ERRNO.ENOSYS]) {
      const text = explainRefusal(errno, { ...MODERN, disabled });
      assert.match(text, "seccomp");
      assert.match(text, "io_uring_setup, io_uring_enter and io_uring_register");
      assert.match(text, "docker run --security-opt");
    }
  }
});

test("explainRefusal() suspects a security module behind EACCES", () => {
  const text = explainRefusal(ERRNO.EACCES, MODERN);
  assert.match(text, /SELinux or AppArmor/);
  assert.match(text, "policy");
});

test("explainRefusal() distinguishes a kernel without io_uring from a filter", () => {
  const text = explainRefusal(ERRNO.ENOSYS, { ...MODERN, kernel: "4.19.0" });
  assert.match(text, "kernel 4.19.0 has no io_uring");
  assert.match(text, "Linux 6.1 or newer");
  assert.not.match(text, "seccomp");
});

test("explainRefusal() names the kernel that does not know the flags", () => {
  const text = explainRefusal(ERRNO.EINVAL, { ...MODERN, kernel: "5.15.0" });
  assert.match(text, "kernel 5.15.0 does not know");
  assert.match(text, "Linux 6.1 or newer");
});

test("explainRefusal() does not call a new kernel old", () => {
  const text = explainRefusal(ERRNO.EINVAL, MODERN);
  assert.match(text, "although its version has them");
  assert.match(text, "sandbox");
});

test("explainRefusal() names the limit of locked memory and how to raise it", () => {
  const text = explainRefusal(ERRNO.ENOMEM, { ...MODERN, memlockBytes: 65_536 });
  assert.match(text, "65536 bytes");
  assert.match(text, "ulimit -l");
  assert.match(text, "--ulimit memlock=-1");
});

test("explainRefusal() does not blame a limit that is not set", () => {
  const text = explainRefusal(ERRNO.ENOMEM, { ...MODERN, memlockBytes: -1 });
  assert.match(text, "has no memory");
  assert.not.match(text, "ulimit");
});

test("explainRefusal() names the limit of open files, of the process or of the system", () => {
  assert.match(explainRefusal(ERRNO.EMFILE, MODERN), "ulimit -n");
  const text = explainRefusal(ERRNO.ENFILE, MODERN);
  assert.match(text, "fs.file-max");
  assert.not.match(text, "ulimit");
});

test("explainRefusal() says when the process has too many rings", () => {
  assert.match(explainRefusal(ERRNO.ENOSPC, MODERN), "close networks");
});

test("explainRefusal() gives the errno when no cause is known", () => {
  assert.match(
    explainRefusal(ERRNO.EFAULT, MODERN),
    "io_uring cannot be used: bad address (EFAULT)",
  );
  assert.match(explainRefusal(599, MODERN), "E599");
});

test("every explanation is one sentence without a trailing period", () => {
  for (const errno of Object.values(ERRNO)) {
    for (const kernel of ["4.19.0", "6.12.0"]) {
      for (const disabled of ["", "0", "2"]) {
        const text = explainRefusal(errno, { ...MODERN, kernel, disabled });
        assert.not.match(text, /[.\n]$/);
        assert.not.match(text, "undefined");
      }
    }
  }
});

test("a configuration that no machine can run is refused, with the reason", () => {
  const refuse = (config: Record<string, unknown>) => () =>
    refuseUnsupported(resolveConfig(config));
  const ioPoll = { ring: { ioPoll: true } };
  assert.is(thrown(refuse(ioPoll), NetworkError, "ioPoll").code, "Unsupported");
  for (const backend of ["auto", "io_uring", "portable"]) refuse({ backend })();
});

test.run();
