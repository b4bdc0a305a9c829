/**
 * Unmodified software over the library: each program is run as it is, with the preload
 * (`uringnet/register`) over io_uring and over the portable backend, and, where its software takes
 * a socket, with one of `uringnet/net`. It must print the same each time, and the library's own
 * numbers must show that the library carried the bytes, over the backend that was wanted.
 *
 *   make test-clients   installs what is missing, then runs this in both runtimes
 *
 * @module
 */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { assert, suite } from "../harness.ts";
import { ROOT } from "../package/program.ts";
import { type Ran, run, tool } from "../package/tools.ts";
import { startCluster } from "./clusters.ts";
import { type Server, type ServerName, startServer } from "./servers.ts";

const FOLDER = dirname(fileURLToPath(import.meta.url));
const REGISTER = join(ROOT, "src", "adapters", "register.ts");
const DIRECT = join(FOLDER, "preload", "direct.ts");
const REPORT = join(FOLDER, "preload", "report.ts");
const inDeno = "Deno" in globalThis;

type Mode = "direct" | "preload" | "portable";

interface Software {
  program: string;
  /** The bytes that are sent to the program behind the port. */
  argument?: string;
  /** A real server that it talks to; without one, both ends are in the program. */
  server?: ServerName;
  modes: readonly Mode[];
  /** The bytes that the ring must have carried at least, in either direction. */
  bytesMin: number;
  /** Connections that the program makes, and takes, with the preload. */
  outbound: number;
  inbound: number;
}

const BOTH: readonly Mode[] = ["direct", "preload", "portable"];
const PRELOAD: readonly Mode[] = ["preload", "portable"];
const MEBIBYTE = 1024 * 1024;

const SOFTWARE: readonly Software[] = [
  {
    program: "pg",
    server: "postgres",
    modes: BOTH,
    bytesMin: 8 * MEBIBYTE,
    outbound: 5,
    inbound: 0,
  },
  {
    program: "postgres",
    server: "postgres",
    modes: BOTH,
    bytesMin: 2 * MEBIBYTE,
    outbound: 1,
    inbound: 0,
  },
  {
    program: "ioredis",
    server: "redis",
    modes: BOTH,
    bytesMin: 2 * MEBIBYTE,
    outbound: 3,
    inbound: 0,
  },
  {
    program: "redis",
    server: "redis",
    modes: PRELOAD,
    bytesMin: 2 * MEBIBYTE,
    outbound: 2,
    inbound: 0,
  },
  {
    program: "bullmq",
    server: "redis",
    modes: PRELOAD,
    bytesMin: 900_000,
    outbound: 4,
    inbound: 0,
  },
  {
    program: "mysql2",
    server: "mariadb",
    modes: BOTH,
    bytesMin: 2 * MEBIBYTE,
    outbound: 2,
    inbound: 0,
  },
  {
    program: "mqtt",
    server: "mosquitto",
    modes: BOTH,
    bytesMin: 400_000,
    outbound: 1,
    inbound: 0,
  },
  {
    program: "basic_ftp",
    server: "vsftpd",
    modes: PRELOAD,
    bytesMin: 4 * MEBIBYTE,
    outbound: 4,
    inbound: 0,
  },
  {
    program: "nats",
    server: "nats",
    modes: PRELOAD,
    bytesMin: 2_000_000,
    outbound: 1,
    inbound: 0,
  },
  {
    program: "nats_transport_node",
    server: "nats",
    modes: PRELOAD,
    bytesMin: 2_000_000,
    outbound: 1,
    inbound: 0,
  },
  {
    program: "amqplib",
    server: "rabbitmq",
    modes: PRELOAD,
    bytesMin: 1_000_000,
    outbound: 1,
    inbound: 0,
  },
  {
    program: "ldapts",
    server: "slapd",
    modes: PRELOAD,
    bytesMin: 5_000_000,
    outbound: 2,
    inbound: 0,
  },
  {
    program: "proxy",
    argument: "redis",
    server: "redis",
    modes: PRELOAD,
    bytesMin: 50 * MEBIBYTE,
    outbound: 50,
    inbound: 50,
  },
  {
    program: "proxy",
    argument: "postgres",
    server: "postgres",
    modes: PRELOAD,
    bytesMin: 10 * MEBIBYTE,
    outbound: 9,
    inbound: 9,
  },
  { program: "http_wrk", modes: PRELOAD, bytesMin: 200_000, outbound: 0, inbound: 50 },
  { program: "http_curl", modes: PRELOAD, bytesMin: 300 * MEBIBYTE, outbound: 0, inbound: 8 },
  { program: "haproxy", modes: PRELOAD, bytesMin: 10_000_000, outbound: 0, inbound: 6 },
  { program: "openssl", modes: PRELOAD, bytesMin: 600_000, outbound: 1, inbound: 3 },
  { program: "https_curl", modes: PRELOAD, bytesMin: 100_000, outbound: 0, inbound: 4 },
  { program: "express", modes: PRELOAD, bytesMin: 1_000, outbound: 0, inbound: 4 },
  { program: "fastify", modes: PRELOAD, bytesMin: 1_000, outbound: 0, inbound: 4 },
  { program: "hono", modes: PRELOAD, bytesMin: 400, outbound: 0, inbound: 2 },
  { program: "ws", modes: PRELOAD, bytesMin: 16 * MEBIBYTE, outbound: 21, inbound: 21 },
  { program: "http_proxy", modes: PRELOAD, bytesMin: 6_000_000, outbound: 6, inbound: 11 },
  // Its WebSocket client imports ws by the bare name, which is Bun's own in Bun: half the bytes.
  { program: "socket_io", modes: PRELOAD, bytesMin: 400_000, outbound: 3, inbound: 3 },
  { program: "proxy_chain", modes: PRELOAD, bytesMin: 30_000_000, outbound: 12, inbound: 28 },
  { program: "libp2p", modes: PRELOAD, bytesMin: 20 * MEBIBYTE, outbound: 1, inbound: 1 },
  { program: "grpc", modes: PRELOAD, bytesMin: 2_000_000, outbound: 1, inbound: 1 },
  { program: "undici", modes: BOTH, bytesMin: 9_000_000, outbound: 6, inbound: 6 },
  { program: "nodemailer", modes: BOTH, bytesMin: 400_000, outbound: 1, inbound: 1 },
  { program: "kafkajs", modes: BOTH, bytesMin: 60, outbound: 1, inbound: 1 },
  { program: "ssh2", modes: BOTH, bytesMin: 8 * MEBIBYTE, outbound: 1, inbound: 1 },
];

const PRELOADS: Readonly<Record<Mode, readonly string[]>> = {
  direct: [DIRECT, REPORT],
  preload: [REGISTER, REPORT],
  portable: [REGISTER, REPORT],
};

const BACKENDS: Readonly<Record<Mode, string>> = {
  direct: "io_uring",
  preload: "io_uring",
  portable: "portable",
};

/** Where Deno finds packages: in node_modules, or in its cache, which it fills when need be. */
const FOLDER_OF_PACKAGES = "--node-modules-dir=manual";
const CACHE = "--node-modules-dir=none";

function commandFor(
  program: string,
  preloads: readonly string[],
  args: readonly string[],
  packages: string,
): string[] {
  const flags = preloads.flatMap((preload) => ["--preload", preload]);
  const runtime = inDeno
    ? [tool("deno"), "run", "-A", "--no-lock", "--no-check", "--quiet", packages, ...flags]
    : [tool("bun"), ...flags];
  return ["timeout", "180", ...runtime, join(FOLDER, "programs", `${program}.mjs`), ...args];
}

/** Runs a program to its end: over the library in a mode, or natively. */
function runIn(
  mode: Mode | null,
  program: string,
  args: readonly string[],
  packages = FOLDER_OF_PACKAGES,
): Promise<Ran> {
  // Where packages come from a registry, how to reach it stands in the environment.
  const env = packages === CACHE ? { ...process.env } as Record<string, string> : {};
  if (mode !== null) env.URINGNET_BACKEND = BACKENDS[mode];
  const preloads = mode === null ? [] : PRELOADS[mode];
  return run(commandFor(program, preloads, args, packages), { cwd: FOLDER, env });
}

function start(
  { program, argument = "" }: Software,
  server: Server | null,
  mode: Mode | null,
  packages = FOLDER_OF_PACKAGES,
): Promise<Ran> {
  return runIn(mode, program, server === null ? [] : [`${server.port}`, argument], packages);
}

/** The line that the report adds to the output of the program. */
const REPORT_LINE = /^carried by (\S+): (\d+) (\d+) (\d+) (\d+)\n/m;

/** The output of the program, without the report. */
function saidBy(ran: Ran): string {
  assert.is(ran.code, 0, `${ran.output}${ran.errors}`);
  return ran.output.replace(REPORT_LINE, "");
}

/** Checks the numbers of the report. In a direct run servers may be those of the runtime. */
function checkCarried(ran: Ran, software: Software, mode: Mode): void {
  const found = REPORT_LINE.exec(ran.output);
  assert.ok(found, `a report\n${ran.output}${ran.errors}`);
  assert.is(found![1], BACKENDS[mode]);
  const [inbound, outbound, bytesIn, bytesOut] = found!.slice(2).map(Number);
  const shown = found![0].trimEnd();
  assert.ok(outbound >= software.outbound, `${shown}: wanted ${software.outbound} outbound`);
  const inboundMin = mode === "direct" ? 0 : software.inbound;
  assert.ok(inbound >= inboundMin, `${shown}: wanted ${inboundMin} inbound`);
  // Both ends in the program: one of them is on the ring in a direct run, as it is.
  const bytesMin = mode === "direct" && software.inbound > 0 ? 0.4 : 1;
  const wanted = software.bytesMin * bytesMin;
  assert.ok(bytesIn + bytesOut >= wanted, `${shown}: wanted ${wanted} bytes`);
}

async function serve(software: Software, body: (server: Server | null) => Promise<void>) {
  if (software.server === undefined) return await body(null);
  await using server = await startServer(software.server);
  await body(server);
}

const asked = process.env.URINGNET_CLIENTS === "1";
const installed = existsSync(join(FOLDER, "node_modules"));
const reason = asked && installed ? null : "make test-clients installs and runs it";
const test = suite("clients", {}, { timeoutMs: 600_000 });

for (const software of SOFTWARE) {
  const { program, argument, modes } = software;
  const name = argument === undefined ? program : `${program} of ${argument}`;
  test.skipIf(reason, `${name}, ${modes.join(" and ")}`, async () => {
    await serve(software, async (server) => {
      const natively = saidBy(await start(software, server, null));
      assert.is.not(natively.trim(), "", "the program says something");
      for (const mode of modes) {
        const ran = await start(software, server, mode);
        assert.is(saidBy(ran), natively, mode);
        checkCarried(ran, software, mode);
      }
    });
  });
}

interface ClusterSoftware {
  program: string;
  cluster: keyof typeof startCluster;
  outbound: number;
}

const CLUSTERS: readonly ClusterSoftware[] = [
  { program: "ioredis_cluster", cluster: "redis", outbound: 4 },
  { program: "nats_cluster", cluster: "nats", outbound: 2 },
];

for (const { program, cluster, outbound } of CLUSTERS) {
  test.skipIf(reason, `${program} whose leader is killed, ${PRELOAD.join(" and ")}`, async () => {
    let natively = "";
    for (const mode of [null, ...PRELOAD]) {
      // Each run kills a member: the next one has a cluster of its own.
      await using started = await startCluster[cluster]();
      const argument = started.members.map(({ port, pid }) => `${port}:${pid}`).join(",");
      const ran = await runIn(mode, program, [argument]);
      if (mode === null) {
        natively = saidBy(ran);
        continue;
      }
      assert.is(saidBy(ran), natively, mode);
      const software = { program, modes: PRELOAD, bytesMin: 100, outbound, inbound: 0 };
      checkCarried(ran, software, mode);
    }
  });
}

const notDeno = inDeno ? null : "Bun has no cache that programs are run from";
for (const program of ["pg", "ioredis", "redis"]) {
  const software = SOFTWARE.find((one) => one.program === program)!;
  test.skipIf(reason ?? notDeno, `${program}, preload, from Deno's cache of packages`, async () => {
    await serve(software, async (server) => {
      const ran = await start(software, server, "preload", CACHE);
      assert.ok(saidBy(ran).length > 0);
      checkCarried(ran, software, "preload");
    });
  });
}

test.run();
