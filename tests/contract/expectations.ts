/**
 * Where the portable backend differs from the contract: the tests that do not hold there, by the
 * heading of docs/PORTABLE.md that says why. `tests/portable_docs_test.ts` compares both, and the
 * contract fails when a name here is no test of it.
 *
 * @module
 */

export interface Difference {
  /** The heading in docs/PORTABLE.md. */
  readonly heading: string;
  /** Where it differs; both unless given. */
  readonly runtime?: "deno" | "bun";
  /** Names of tests of the contract. */
  readonly tests: readonly string[];
}

const inDeno = "Deno" in globalThis;

export const PORTABLE_DIFFERENCES: readonly Difference[] = [
  {
    heading: "Keep-alive intervals and counts",
    tests: [
      "works with: keepAlive, all",
      "setNoDelay and setKeepAlive in all their forms",
      "each option is read once, so that a second answer has no effect",
    ],
  },
  {
    heading: "Linger times above 0",
    tests: [
      "soLinger of seconds: close does not block, and all bytes arrive",
      "works with: soLinger in seconds",
    ],
  },
  {
    heading: "Buffer sizes, user timeouts and traffic classes",
    tests: ["setOptions() sets all options or none, and refuses wrong ones"],
  },
  {
    heading: "Names of dialing unix sockets",
    tests: ["unix sockets: a dial from an abstract name has it at both ends"],
  },
  {
    heading: "A reset behind FIN",
    runtime: "deno",
    tests: ["signal: a reset by the peer aborts it, FIN alone does not"],
  },
  {
    heading: "Replacing stale socket files",
    tests: [
      "unix files: a stale file is refused, with the remedy",
      "unix files: unlinkStale works with and without a stale file",
      "unix files: unlinkStale leaves a listener alone, and undisturbed",
      "unix files: unlinkStale leaves a socket that is about to listen alone",
      "unix files: unlinkStale leaves a socket of another type alone",
      "unix files: unlinkStale leaves a plain file alone",
      "unix files: unlinkStale leaves a link to a file that is stale alone",
      "unix files: unlinkStale leaves a link to nothing alone",
      "unix files: unlinkStale leaves a folder alone",
      "unix files: a path that ends with a slash is refused as a folder",
      "unix files: unlinkStale and many binds at once: one listener",
    ],
  },
  {
    heading: "Permissions of socket files",
    tests: [
      "unix files: mode is exact, for every umask",
      "unix files: a closing network removes its files, a refused bind leaves none",
    ],
  },
  {
    heading: "Removing socket files",
    tests: [
      "unix files: closing removes the listener's own file, and no newer one",
      "unix files: a plain file in the place of the listener's file stays",
      "unix files: a link to a file that is stale in the place of the listener's file stays",
      "unix files: a link to nothing in the place of the listener's file stays",
      "unix files: a relative path is resolved at the time of bind",
      "unix files: a short path whose absolute form is too long",
      "unix files: a folder that was moved, and another in its place",
    ],
  },
  {
    heading: "The backlog",
    tests: [
      "dialing a listener whose backlog is full: Timeout, not before and soon after",
      "a dial's own budget comes before the configured one",
      "dialing with a signal: aborted before and during",
      "closing the network gives up after shutdownTimeoutMs",
    ],
  },
  {
    heading: "Bytes that no call awaits",
    tests: ["after a row of small messages, bytes that no call awaits are bounded"],
  },
  {
    heading: "FIN and RST that come together",
    tests: ["RST in the middle of a send, behind FIN: the stream has a clean end"],
  },
  {
    heading: "A half close of the peer during a send",
    runtime: "deno",
    tests: [
      "FIN after no bytes is a clean end although a send fails",
      "FIN after an urgent byte alone is a clean end although a send fails",
      "FIN, then RST, after no bytes is a clean end although a send fails",
      "FIN, then RST, after bytes is a clean end although a send fails",
      "FIN, then RST, after an urgent byte alone is a clean end although a send fails",
      "FIN, then RST, after an urgent byte between others is a clean end although a send fails",
      "FIN, then RST, after an urgent byte at the end is a clean end although a send fails",
      "half closes of both after no bytes, in both orders, are clean ends",
      "half closes of both after an urgent byte alone, in both orders, are clean ends",
    ],
  },
  {
    heading: "A polluted Object.prototype",
    runtime: "bun",
    tests: ["a polluted Object.prototype sets no option"],
  },
  {
    heading: "Names of interfaces",
    runtime: "deno",
    tests: ["IPv6 with an interface, by name and by number"],
  },
  {
    heading: "IPv6 without IPv4",
    runtime: "deno",
    tests: [
      "an IPv6 listener takes IPv4 as well, unless ipv6Only",
      "localhost is a name for both loopback addresses",
    ],
  },
];

/** The names that do not hold in this runtime. */
export function differing(): readonly string[] {
  const here = inDeno ? "deno" : "bun";
  return PORTABLE_DIFFERENCES
    .filter(({ runtime }) => runtime === undefined || runtime === here)
    .flatMap(({ tests }) => tests);
}
