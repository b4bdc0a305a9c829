/**
 * Implements the core's port on the opened library. No file above this one knows addresses.
 *
 * Each mapping has one `ArrayBuffer`. When that has been collected, no view of the mapping exists
 * any more, and the library may reuse it. A mapping is never unmapped.
 *
 * @module
 */
import type {
  DoorbellPort,
  NativePort,
  RingOpenOptions,
  RingPort,
  ShutdownHow,
  SystemFacts,
} from "../src/ring/port.ts";
import type { SlabMemory } from "../src/buf/slab.ts";
import { ERRNO } from "../src/base/errno.ts";
import { importMarking, markAsUntransferable } from "../src/base/untransferable.ts";
import { decodeUtf8 } from "../src/base/utf8.ts";
import { LAYOUT, OPEN } from "./layout.ts";
import { hashAhead, loadLibrary } from "./load.ts";
import { host } from "./host.ts";
import { separatePrograms } from "./programs.ts";
import type { Library, OpenLibrary, Runtime } from "./symbols.ts";

const SYSTEM_TEXT_BYTES = 512;

/** Wakeups at which a doorbell tries to join the epoll instance of the runtime. */
const JOIN_TRY_MAX = 8;

const OPS_AT = LAYOUT.headerWords * 4;
const COMPLETIONS_AT = OPS_AT + LAYOUT.opCapacity * LAYOUT.opBytes;
const BLOCKS_AT = COMPLETIONS_AT + LAYOUT.completionCapacity * LAYOUT.completionBytes;
const CONTROL_BYTES = BLOCKS_AT + LAYOUT.blockCount * LAYOUT.blockBytes;

class NativeRing implements RingPort {
  readonly opCapacity = LAYOUT.opCapacity;
  readonly completionCapacity = LAYOUT.completionCapacity;
  readonly blockCount = LAYOUT.blockCount;
  readonly blockBytes = LAYOUT.blockBytes;
  readonly bufferCount = LAYOUT.bufferMax;
  readonly multishot = true;
  readonly header: Uint32Array;
  readonly ops: Uint32Array;
  readonly completions: Int32Array;
  readonly blocks: Uint8Array;
  readonly blockWords: Uint32Array;
  readonly #library: Library;
  readonly #runtime: Runtime;
  readonly #id: number;
  readonly #open: Set<NativeRing>;
  #doorbell: DoorbellPort | null = null;

  constructor(
    library: Library,
    runtime: Runtime,
    id: number,
    control: ArrayBuffer,
    open: Set<NativeRing>,
  ) {
    this.#library = library;
    this.#runtime = runtime;
    this.#id = id;
    this.#open = open;
    open.add(this);
    this.header = new Uint32Array(control, 0, LAYOUT.headerWords);
    this.ops = new Uint32Array(control, OPS_AT, (LAYOUT.opCapacity * LAYOUT.opBytes) / 4);
    const completionWords = (LAYOUT.completionCapacity * LAYOUT.completionBytes) / 4;
    this.completions = new Int32Array(control, COMPLETIONS_AT, completionWords);
    const blocksBytes = LAYOUT.blockCount * LAYOUT.blockBytes;
    this.blocks = new Uint8Array(control, BLOCKS_AT, blocksBytes);
    this.blockWords = new Uint32Array(control, BLOCKS_AT, blocksBytes / 4);
  }

  turn(opCount: number, flags: number): number {
    return this.#library.ur_turn(this.#id, opCount, flags);
  }

  arm(): number {
    return this.#library.ur_arm(this.#id);
  }

  openDoorbell(onWake: () => void): DoorbellPort {
    return this.#doorbell = this.#openEvent(onWake) ?? this.#openSocket(onWake);
  }

  /**
   * A doorbell for which the runtime polls the eventfd of the ring itself, so that no byte is sent
   * and no chain is armed.
   */
  #openEvent(onWake: () => void): DoorbellPort | null {
    const { openEvent } = this.#runtime;
    if (openEvent === null) return null;
    const fd = this.#library.ur_ring_event(this.#id);
    if (fd < 0) return null;
    const doorbell = openEvent(fd, onWake);
    if (doorbell === null) this.#library.ur_ring_event_back(this.#id);
    // The doorbell works without this too.
    else this.#library.ur_ring_join(this.#id);
    return doorbell;
  }

  /**
   * Counts the packets of the doorbell for the shim, and makes its wakeups cheaper from one of the
   * first on: the runtime has to have seen that there is room in the socket.
   */
  #joining(onWake: () => void): () => void {
    const { header } = this;
    let triesLeft = JOIN_TRY_MAX;
    return () => {
      header[LAYOUT.rungWord]++;
      if (triesLeft > 0) {
        const result = this.#library.ur_ring_join(this.#id);
        triesLeft = result === -ERRNO.EAGAIN ? triesLeft - 1 : 0;
      }
      onWake();
    };
  }

  #openSocket(onWake: () => void): DoorbellPort {
    const giveBack = () => void this.#library.ur_ring_doorbell_back(this.#id);
    try {
      const doorbell = this.#runtime.openDoorbell(
        this.#library.ur_ring_doorbell(this.#id),
        this.#runtime.packets ? this.#joining(onWake) : onWake,
      );
      doorbell.opened.catch(giveBack);
      return doorbell;
    } catch (cause) {
      giveBack();
      throw cause;
    }
  }

  close(): number {
    this.#open.delete(this);
    return this.#library.ur_ring_close(this.#id);
  }

  /** Called at the end of the program. The runtime leaves the doorbell open that it has adopted. */
  end(): void {
    this.#doorbell?.close();
    this.close();
  }

  socket(family: number): number {
    return this.#library.ur_socket(this.#id, family);
  }

  adopt(fd: number): number {
    return this.#library.ur_adopt(this.#id, fd);
  }

  disown(fd: number): number {
    return this.#library.ur_disown(this.#id, fd);
  }

  stateOf(fd: number): number {
    return this.#library.ur_state(this.#id, fd);
  }

  bind(fd: number, block: number, length: number): number {
    return this.#library.ur_bind(this.#id, fd, block, length);
  }

  listen(fd: number, backlog: number): number {
    return this.#library.ur_listen(this.#id, fd, backlog);
  }

  accept(fd: number, block: number): number {
    return this.#library.ur_accept(this.#id, fd, block);
  }

  address(fd: number, which: 0 | 1, block: number): number {
    return this.#library.ur_address(this.#id, fd, which, block);
  }

  setOption(fd: number, option: number, value: number): number {
    return this.#library.ur_set_option(this.#id, fd, option, value);
  }

  getOption(fd: number, option: number): number {
    return this.#library.ur_get_option(this.#id, fd, option);
  }

  cutOff(fd: number): number {
    return this.#library.ur_cut_off(this.#id, fd);
  }

  shutdown(fd: number, how: ShutdownHow): number {
    return this.#library.ur_shutdown(this.#id, fd, how);
  }

  closeDescriptor(fd: number): number {
    return this.#library.ur_close(this.#id, fd);
  }

  interfaceIndex(block: number, length: number): number {
    return this.#library.ur_interface(this.#id, block, length);
  }

  bindFile(fd: number, file: Uint8Array, mode: number): number {
    return this.#library.ur_file_bind(this.#id, fd, file, file.length, mode);
  }

  removeFile(file: Uint8Array): number {
    return this.#library.ur_file_remove(this.#id, file, file.length);
  }

  staleFile(file: Uint8Array, remove: boolean): number {
    return this.#library.ur_file_stale(this.#id, file, file.length, remove ? 1 : 0);
  }
}

class Native implements NativePort {
  readonly #library: Library;
  readonly #view: OpenLibrary["view"];
  readonly #runtime: Runtime;
  readonly #rings = new Set<NativeRing>();
  readonly #collected = new FinalizationRegistry<number>((slab) => {
    this.#library.ur_slab_release(slab);
  });

  constructor(runtime: Runtime, opened: OpenLibrary) {
    this.#runtime = runtime;
    this.#library = opened.library;
    this.#view = opened.view;
    if (runtime.programs === null) return;
    const end = () => this.#rings.forEach((ring) => ring.end());
    separatePrograms(runtime.programs, this.#library, end);
  }

  mapSlab(sizeBytes: number): SlabMemory | null {
    const id = this.#library.ur_slab_map(sizeBytes);
    return id < 0 ? null : { id, bytes: new Uint8Array(this.#viewSlab(id, sizeBytes)) };
  }

  openRing(options: RingOpenOptions): RingPort | number {
    const flags = (options.sqPoll ? OPEN.sqpoll : 0) | (options.buffers ? OPEN.buffers : 0) |
      (this.#runtime.packets ? OPEN.packets : 0);
    const library = this.#library;
    const ring = library.ur_ring_open(options.entries, options.completionEntries, flags);
    if (ring < 0) return ring;
    const control = this.#viewSlab(library.ur_ring_control(ring), CONTROL_BYTES);
    return new NativeRing(library, this.#runtime, ring, control, this.#rings);
  }

  system(): SystemFacts {
    const text = new Uint8Array(SYSTEM_TEXT_BYTES);
    const length = this.#library.ur_system(text, text.length);
    const decoded = decodeUtf8(text.subarray(0, Math.max(length, 0)));
    const [kernel = "", disabled = "", memlock = "-1"] = decoded.split("\n");
    return { kernel, disabled, memlockBytes: Number(memlock) };
  }

  probe(): number {
    return this.#library.ur_probe();
  }

  setTimer(callback: () => void, delayMs: number): unknown {
    return host.setTimer(callback, delayMs);
  }

  warn(message: string): void {
    host.warn(message);
  }

  #viewSlab(slab: number, sizeBytes: number): ArrayBuffer {
    const buffer = this.#view(this.#library.ur_slab_address(slab), sizeBytes);
    // A program that transferred a view, to a byte stream for example, would take the memory of
    // every other buffer of the slab with it.
    markAsUntransferable(buffer);
    this.#collected.register(buffer, slab);
    return buffer;
  }
}

let opened: Native | null = null;

/** The port of this thread; loads the library when first called. Throws LoadError. */
export function openNative(runtime: Runtime): NativePort {
  return opened ??= new Native(runtime, loadLibrary(runtime));
}

/** Does in advance, without blocking, what makes the first {@link openNative} cheaper. */
export async function prepareNative(runtime: Runtime): Promise<void> {
  if (opened !== null) return;
  await Promise.all([hashAhead(runtime), runtime.name === "deno" ? importMarking() : null]);
}
