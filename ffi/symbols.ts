/**
 * The foreign functions, one row each, with types that both loaders translate: `u32`, `i32`,
 * `bytes` (a view whose address is used during the call and no longer) and `address`; for functions
 * of the C library also `size` (size_t, from a number) and `count` (ssize_t, a number or bigint).
 *
 * All but `ur_slab_address` return a count or -errno. `shim.h` has the contract of each.
 *
 * @module
 */
import type { Libc } from "./libc.ts";

export type ForeignType = "u32" | "i32" | "bytes" | "address" | "size" | "count";

export interface ForeignFunction {
  readonly args: readonly ForeignType[];
  readonly returns: ForeignType;
  /**
   * Called so seldom that a fast call, 0.1 us less in Deno, is not worth the preparation of one: at
   * most once for a connection of a client, and not for one of a server.
   */
  readonly rare?: true;
}

function rarely<const Args extends readonly ForeignType[]>(...args: Args): {
  readonly args: Args;
  readonly returns: "i32";
  readonly rare: true;
} {
  return { args, returns: "i32", rare: true };
}

function calls<const Args extends readonly ForeignType[]>(...args: Args): {
  readonly args: Args;
  readonly returns: "i32";
} {
  return { args, returns: "i32" };
}

export const SYMBOLS = {
  ur_layout: rarely("u32"), //                            uint32_t index
  ur_system: rarely("bytes", "u32"), //                   void *text, uint32_t capacity
  ur_probe: rarely(),
  ur_slab_map: rarely("u32"), //                          uint32_t size
  // uint32_t slab
  ur_slab_address: { args: ["u32"], returns: "address", rare: true },
  ur_slab_release: rarely("u32"), //                      uint32_t slab
  ur_ring_open: rarely("u32", "u32", "u32"), //           uint32_t entries, completions, flags
  ur_ring_close: rarely("u32"), //                        uint32_t ring
  ur_ring_control: rarely("u32"), //                      uint32_t ring
  ur_ring_doorbell: rarely("u32"), //                     uint32_t ring
  ur_ring_doorbell_back: rarely("u32"), //                uint32_t ring
  ur_ring_event: rarely("u32"), //                        uint32_t ring
  ur_ring_event_back: rarely("u32"), //                   uint32_t ring
  ur_ring_join: rarely("u32"), //                         uint32_t ring
  ur_turn: calls("u32", "u32", "u32"), //                 uint32_t ring, op_count, flags
  ur_arm: calls("u32"), //                                uint32_t ring
  ur_socket: rarely("u32", "u32"), //                     uint32_t ring, family
  ur_adopt: rarely("u32", "i32"), //                      ring, fd
  ur_disown: rarely("u32", "i32"), //                     ring, fd
  ur_state: rarely("u32", "i32"), //                      ring, fd
  ur_bind: rarely("u32", "i32", "u32", "u32"), //         ring, int32_t fd, block, length
  ur_listen: rarely("u32", "i32", "u32"), //              ring, fd, backlog
  ur_accept: calls("u32", "i32", "u32"), //               ring, fd, block
  ur_address: rarely("u32", "i32", "u32", "u32"), //      ring, fd, which, block
  ur_set_option: rarely("u32", "i32", "u32", "i32"), //   ring, fd, option, int32_t value
  ur_get_option: rarely("u32", "i32", "u32"), //          ring, fd, option
  ur_cut_off: calls("u32", "i32"), //                     ring, fd
  ur_shutdown: calls("u32", "i32", "u32"), //             ring, fd, how
  ur_close: calls("u32", "i32"), //                       ring, fd
  ur_interface: rarely("u32", "u32", "u32"), //           ring, block, length
  ur_file_bind: rarely("u32", "i32", "bytes", "u32", "u32"), // ring, fd, file, size, mode
  ur_file_remove: rarely("u32", "bytes", "u32"), //       ring, file, size
  ur_file_stale: rarely("u32", "bytes", "u32", "u32"), // ring, file, size, remove
} as const satisfies Record<string, ForeignFunction>;

type Argument<T> = T extends "bytes" ? Uint8Array : number;

type Arguments<Args extends readonly ForeignType[]> = {
  -readonly [Index in keyof Args]: Argument<Args[Index]>;
};

type Result<T> = T extends "address" ? unknown : number;

/**
 * The types of the functions in TypeScript. An address is opaque, and can only be passed to `view`.
 */
export type Library = {
  readonly [Name in keyof typeof SYMBOLS]: (
    ...args: Arguments<(typeof SYMBOLS)[Name]["args"]>
  ) => Result<(typeof SYMBOLS)[Name]["returns"]>;
};

/** The result of a runtime's loader: the functions, and access to mapped memory. */
export interface OpenLibrary {
  readonly library: Library;
  /** One `ArrayBuffer` over `sizeBytes` of mapped memory. Taken once for each mapping. */
  view(address: unknown, sizeBytes: number): ArrayBuffer;
}

/** The runtime's end of the doorbell: adopts a socket, and reports each byte that arrives. */
export interface Doorbell {
  /** Resolves when the socket is adopted. On rejection the socket still belongs to the caller. */
  readonly opened: Promise<void>;
  ref(): void;
  unref(): void;
  close(): void;
}

/** The facts that decide whether a file is trusted. */
export interface FileFacts {
  /** st_mode: the kind of file, and its permissions. */
  readonly mode: number;
  /** The number of the user who owns the file. */
  readonly owner: number;
}

/** A thread that runs one program after the other, each with a heap of its own. */
export interface Programs {
  /** True for the first call in a program, whichever copy of this module makes it. */
  begins(): boolean;
  /**
   * Calls a function when the program ends. The function is not called after an uncaught error, and
   * not after a file of a test run.
   */
  whenEnded(end: () => void): void;
}

/** The differences between the runtimes. */
export interface Runtime {
  readonly name: "deno" | "bun";
  /** The processor, by the name that `uname -m` prints where a copy of the library is embedded. */
  readonly machine: string;
  /** Whether the program is one compiled file, whose modules have URLs that no file has. */
  readonly standalone: boolean;
  /** Opens the library at an absolute path, or throws with the message of the loader. */
  open(path: string): OpenLibrary;
  /** The C library of this process, without a search for a file. Throws when it is out of reach. */
  libc(): Libc;
  /** The working directory. Throws when it is out of reach. */
  workingDirectory(): string;
  /** Facts about a file, not following a symbolic link; null when unknown or not there. */
  fileFacts(path: string): FileFacts | null;
  /** The effective user of this process; null when unknown. */
  user(): number | null;
  /** Hexadecimal. */
  sha256(bytes: Uint8Array): string;
  /** The same, without blocking. Null where `sha256` costs as little. */
  readonly sha256Ahead: ((bytes: Uint8Array<ArrayBuffer>) => Promise<string>) | null;
  /**
   * Whether the runtime adopts a socket that keeps packets apart, and receives one of them at each
   * event.
   */
  readonly packets: boolean;
  /** Adopts the socket, or throws. */
  openDoorbell(fd: number, onWake: () => void): Doorbell;
  /**
   * Makes a doorbell of an eventfd, which costs less, or returns null when the runtime cannot adopt
   * it. Null where no version of the runtime can.
   */
  readonly openEvent: ((fd: number, onWake: () => void) => Doorbell | null) | null;
  /** Null where a thread ends with its program. */
  readonly programs: Programs | null;
  /** An environment variable, or undefined when unset or not permitted. Never prompts. */
  environment(name: string): string | undefined;
}
