/**
 * Real servers from Debian's packages, on loopback, with ports and data folders of their own.
 *
 *   start() -> folder made -> process started -> its port accepts -> use -> stop(): SIGTERM, gone,
 *   folder removed
 *
 * A server that does not end within its limit is killed. The output of a server is kept for the
 * message of an error.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { freePort } from "../support/free_port.ts";

export interface Server extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
  /** Its data; removed at the end. */
  readonly folder: string;
}

/** How a server is started. */
interface Recipe {
  /** The name of its Debian package. */
  package: string;
  /** A user who owns its folder and runs it, when the tests run as root. */
  user?: string;
  /** The program, by name or by path; null where it is missing. */
  find(): string | null;
  /** Another process that the server needs, started before it and ended after it. */
  companion?(start: Start): string[];
  /** Runs before the server: what makes its data folder. */
  prepare?(start: Start): string[][];
  command(start: Start): string[];
  environment?(start: Start): Record<string, string>;
}

export interface Start {
  program: string;
  port: number;
  /** For what a server needs beside the port of its clients. */
  otherPorts: [number, number];
  folder: string;
}

const STARTUP_MS = 180_000;
const ENDING_MS = 30_000;
const isRoot = process.getuid?.() === 0;

function onPath(name: string): string | null {
  const folders = `${process.env.PATH ?? ""}:/usr/sbin:/usr/local/sbin`.split(":");
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}

function postgresProgram(name: string): string | null {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort() : [];
  return versions.length === 0 ? null : join(root, versions.at(-1)!, "bin", name);
}

function mosquittoConfig({ port, folder }: Start): string {
  const path = join(folder, "mosquitto.conf");
  writeFileSync(path, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`);
  return path;
}

/** A server of FTP for logins without a name. All connections, those of data as well, have TLS. */
function vsftpdConfig({ port, folder }: Start): string {
  const path = join(folder, "vsftpd.conf");
  const lines = {
    listen: "YES",
    listen_address: "127.0.0.1",
    listen_port: `${port}`,
    background: "NO",
    run_as_launching_user: "YES",
    secure_chroot_dir: join(folder, "empty"),
    seccomp_sandbox: "NO",
    anonymous_enable: "YES",
    no_anon_password: "YES",
    // Has to exist; no process changes to this user.
    ftp_username: "nobody",
    anon_root: join(folder, "files"),
    write_enable: "YES",
    anon_upload_enable: "YES",
    // Only files that everyone may read are sent.
    anon_umask: "022",
    anon_other_write_enable: "YES",
    ssl_enable: "YES",
    allow_anon_ssl: "YES",
    force_anon_data_ssl: "YES",
    force_anon_logins_ssl: "YES",
    require_ssl_reuse: "NO",
    rsa_cert_file: join(folder, "cert.pem"),
    rsa_private_key_file: join(folder, "key.pem"),
    pasv_address: "127.0.0.1",
  };
  writeFileSync(path, Object.entries(lines).map((line) => `${line.join("=")}\n`).join(""));
  return path;
}

/** The configuration of slapd. Its certificate is made when its folder is. */
function slapdConfig({ folder }: Start): string {
  const path = join(folder, "slapd.conf");
  const schemas = ["core", "cosine", "inetorgperson"];
  const lines = [
    ...schemas.map((name) => `include /etc/ldap/schema/${name}.schema`),
    "modulepath /usr/lib/ldap",
    "moduleload back_mdb",
    `TLSCertificateFile ${folder}/cert`,
    `TLSCertificateKeyFile ${folder}/key`,
    "database mdb",
    "suffix dc=example",
    "rootdn cn=admin,dc=example",
    "rootpw secret",
    `directory ${folder}`,
    "dbnosync",
  ];
  writeFileSync(path, `${lines.join("\n")}\n`);
  return path;
}

const RECIPES = {
  redis: {
    package: "redis-server",
    find: () => onPath("redis-server"),
    command: ({ program, port, folder }) => {
      const fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
      return [program, "--port", `${port}`, "--dir", folder, ...fixed];
    },
  },
  postgres: {
    package: "postgresql",
    user: "postgres",
    find: () => postgresProgram("postgres"),
    prepare: ({ folder }) => {
      const fixed = ["--username=test", "--auth=trust", "--no-sync", "--encoding=UTF8"];
      return [[postgresProgram("initdb")!, `--pgdata=${folder}/data`, ...fixed]];
    },
    command: ({ program, port, folder }) => {
      const options = ["-h", "127.0.0.1", "-p", `${port}`, "-k", folder, "-F"];
      return [program, "-D", `${folder}/data`, ...options];
    },
  },
  mariadb: {
    package: "mariadb-server",
    user: "mysql",
    find: () => onPath("mariadbd"),
    prepare: ({ folder }) => {
      const fixed = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"];
      return [[onPath("mariadb-install-db")!, ...fixed, `--datadir=${folder}/data`]];
    },
    command: ({ program, port, folder }) => {
      const files = [`--datadir=${folder}/data`, `--socket=${folder}/socket`];
      files.push(`--pid-file=${folder}/pid`, `--port=${port}`);
      return [program, "--no-defaults", "--bind-address=127.0.0.1", ...files];
    },
  },
  mosquitto: {
    package: "mosquitto",
    user: "mosquitto",
    find: () => onPath("mosquitto"),
    command: (start) => [start.program, "-c", mosquittoConfig(start)],
  },
  vsftpd: {
    package: "vsftpd",
    find: () => onPath("vsftpd"),
    prepare: ({ folder }) => {
      const files = ["-keyout", `${folder}/key.pem`, "-out", `${folder}/cert.pem`];
      const fixed = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ftp"];
      const folders = [`${folder}/empty`, `${folder}/files`];
      return [["openssl", "req", ...fixed, ...files], ["mkdir", ...folders]];
    },
    command: (start) => [start.program, vsftpdConfig(start)],
  },
  nats: {
    package: "nats-server",
    find: () => onPath("nats-server"),
    command: ({ program, port }) => [program, "-a", "127.0.0.1", "-p", `${port}`],
  },
  slapd: {
    package: "slapd",
    user: "openldap",
    find: () => onPath("slapd"),
    prepare: () => {
      const fixed = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"];
      const files = ["-keyout", "key", "-out", "cert"];
      return [["openssl", "req", ...fixed, ...files, "-subj", "/CN=localhost"]];
    },
    command: (start) => {
      const { program, port } = start;
      return [program, "-d", "0", "-f", slapdConfig(start), "-h", `ldap://127.0.0.1:${port}`];
    },
  },
  rabbitmq: {
    package: "rabbitmq-server",
    user: "rabbitmq",
    // The script that checks for root is passed by: the user is set already.
    find: () => {
      const path = "/usr/lib/rabbitmq/bin/rabbitmq-server";
      return existsSync(path) ? path : onPath("rabbitmq-server");
    },
    // Erlang would start its name server itself, and leave it running.
    companion: ({ otherPorts }) => ["epmd", "-address", "127.0.0.1", "-port", `${otherPorts[1]}`],
    command: ({ program }) => [program],
    environment: ({ port, otherPorts, folder }) => ({
      HOME: folder,
      RABBITMQ_NODENAME: `uringnet${port}@localhost`,
      RABBITMQ_NODE_IP_ADDRESS: "127.0.0.1",
      RABBITMQ_NODE_PORT: `${port}`,
      RABBITMQ_DIST_PORT: `${otherPorts[0]}`,
      ERL_EPMD_PORT: `${otherPorts[1]}`,
      ERL_EPMD_ADDRESS: "127.0.0.1",
      RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
      RABBITMQ_LOG_BASE: join(folder, "log"),
      RABBITMQ_LOGS: "-",
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
      RABBITMQ_PID_FILE: join(folder, "pid"),
    }),
  },
} satisfies Record<string, Recipe>;

export type ServerName = keyof typeof RECIPES;

/** The command line that runs `command` as `user`, when this process may choose. */
function asUser(user: string | undefined, command: string[]): string[] {
  if (user === undefined || !isRoot) return command;
  return ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--", ...command];
}

function idsOf(user: string): [number, number] {
  const id = (flag: string) => Number(spawnSync("id", [flag, user], { encoding: "utf8" }).stdout);
  return [id("-u"), id("-g")];
}

/** Resolves when the port accepts connections. `ended` tells why its server never will. */
export async function untilAccepts(
  port: number,
  ended: () => string | null = () => null,
): Promise<void> {
  const limitMs = performance.now() + STARTUP_MS;
  for (;;) {
    const reason = ended();
    if (reason !== null) throw new Error(reason);
    const socket = connect(port, "127.0.0.1");
    const accepted = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (accepted) return;
    if (performance.now() > limitMs) throw new Error(`No server accepts on port ${port}`);
    // No event tells when the server of another process listens.
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), ENDING_MS);
  await ended;
  clearTimeout(timer);
}

/** Makes the data folder ready. Throws with what the programs printed. */
function prepare(recipe: Recipe, start: Start, env: Record<string, string | undefined>): void {
  for (const command of recipe.prepare?.(start) ?? []) {
    const [program, ...args] = asUser(recipe.user, command);
    const ran = spawnSync(program, args, { cwd: start.folder, env, encoding: "utf8" });
    if (ran.status !== 0) throw new Error(`Cannot prepare: ${ran.stdout}${ran.stderr}`);
  }
}

/** Starts a server, with arguments beside those that it always gets, and waits until it accepts. */
export async function startServer(
  name: ServerName,
  more: (start: Start) => string[] = () => [],
): Promise<Server> {
  const recipe: Recipe = RECIPES[name];
  const program = recipe.find();
  if (program === null) throw new Error(`${recipe.package} is not installed`);
  const folder = mkdtempSync(join(tmpdir(), `uringnet-${name}-`));
  if (isRoot && recipe.user !== undefined) chownSync(folder, ...idsOf(recipe.user));
  const [port, ...otherPorts] = [await freePort(), await freePort(), await freePort()];
  const start: Start = { program, port, otherPorts: otherPorts as [number, number], folder };
  const env = { ...process.env, LC_ALL: "C", ...recipe.environment?.(start) };
  const children: ChildProcess[] = [];
  let output = "";
  let failure: string | null = null;
  const run = (given: string[]) => {
    const [command, ...args] = asUser(recipe.user, given);
    const child = spawn(command, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => output = (output + chunk).slice(-4_000));
    }
    child.once("error", (error) => failure = `Cannot start ${name}: ${error.message}`);
    child.once("exit", (code) => failure = `${name} ended with ${code}:\n${output}`);
    children.unshift(child);
  };
  const stop = async () => {
    for (const child of children) await end(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    prepare(recipe, start, env);
    if (recipe.companion !== undefined) run(recipe.companion(start));
    run([...recipe.command(start), ...more(start)]);
    await untilAccepts(port, () => failure);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: children[0].pid as number, folder, [Symbol.asyncDispose]: stop };
}
