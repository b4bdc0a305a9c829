/**
 * Decides when to take a turn, and when to sleep.
 *
 *   submit -> microtask, again while calls keep coming -----------> turn -+-> completions: again
 *                                                                         |
 *                   asleep, doorbell armed <- spin until the budget ends <-+-> no completion
 *
 * - Quiescence: a turn waits until the user's code makes no more calls: see `QuietRounds`.
 * - Fairness: turns chain in microtasks, but after some of them the pump gives way to the timers
 *   and the I/O of the runtime: see `TurnChain`. Calls that come from then on are submitted, by
 *   turns that collect nothing: no timer of the program runs while its last calls wait.
 * - A spinning pump polls in the shim for some microseconds, then lets the event loop run a round.
 * - Arm, then recheck: the doorbell is armed before the last check, so no wakeup is lost.
 * - The doorbell keeps the process alive exactly while calls are pending (see `addReference`). The
 *   macrotasks of a busy pump keep the process alive too. When no call is pending, one of
 *   {@link UNREFERENCED_GAP} macrotasks is a timer that does not: a process without other work ends
 *   there.
 * - A network with a ring for each direction counts its calls at one pump, the keeper, whose
 *   doorbell or macrotask keeps the process alive. The other never references its own doorbell.
 *
 * @module
 */
import type { Host, HostTimer } from "../base/host.ts";
import { COUNT, type Meter } from "../base/meter.ts";
import { type DoorbellPort, type RingPort, TURN_LOOK, TURN_SUBMIT, TURN_WOKEN } from "./port.ts";
import { QuietRounds } from "./quiet_rounds.ts";
import { type SpinConfig, Spinner } from "./spinner.ts";
import { TurnChain } from "./turn_chain.ts";

/** A timer may be 1 ms late, and the turns between two macrotasks take some 2 ms. */
const UNREFERENCED_GAP = 2;

/** The ring whose turns a pump takes. */
export interface PumpedRing {
  readonly port: RingPort;
  readonly host: Host;
  readonly meter: Meter;
  /** Milliseconds at the last turn. */
  readonly now: number;
  /** Grows with each submission, cancel, and call that was served without one. */
  readonly activity: number;
  /** The number of operations in flight. */
  readonly inFlight: number;
  /** Whether a turn would submit anything. */
  readonly canStage: boolean;
  /** Whether the last turn left work in the kernel's queues. */
  readonly hasMore: boolean;
  /** Takes one turn, and returns the number of completions. */
  turn(flags: number): number;
  /** Called when the pump goes to sleep. */
  onSleep(): void;
}

/** `yielding` waits for a macrotask, and `leaving` submits calls before that macrotask. */
type PumpState = "asleep" | "scheduled" | "yielding" | "leaving" | "spinning" | "closed";

export class Pump {
  readonly #ring: PumpedRing;
  readonly spinner: Spinner;
  readonly #doorbell: DoorbellPort;
  /** The pump that counts the calls of this one: itself, unless another pump counts for both. */
  readonly #keeper: Pump;
  /** The pump of the other direction, when each direction has a ring. */
  #partner: Pump | null;
  #state: PumpState = "asleep";
  #referenceCount = 0;
  #referenced = false;
  readonly #quiet: QuietRounds;
  /** Turns since the pump last gave way to timers and I/O of the runtime. */
  readonly #turns = new TurnChain();
  #spinSinceMs = 0;
  #spinUntilMs = 0;
  #asleepSinceMs = 0;
  #wakeupFlag = 0;
  #macrotaskQueued = false;
  #unreferencedCount = 0;
  /** The queued macrotask, if it lets the process end. */
  #gap: HostTimer | null = null;

  /** `keeper` is the pump that counts the calls of both; null when this pump counts its own. */
  constructor(ring: PumpedRing, spin: SpinConfig | null, keeper: Pump | null = null) {
    this.#ring = ring;
    this.#keeper = keeper ?? this;
    this.#partner = keeper;
    this.#quiet = new QuietRounds(() => this.#activity, () => this.#onQuiet());
    this.spinner = new Spinner(spin, ring.meter);
    this.#doorbell = ring.port.openDoorbell(this.#onWake);
    this.#doorbell.unref();
    if (keeper !== null) keeper.#partner = this;
  }

  /** Resolves when the doorbell is ready, and rejects when it never will be. */
  get opened(): Promise<void> {
    return this.#doorbell.opened;
  }

  /** Whether no turn is due. The ring's clock stands still until the next turn. */
  get asleep(): boolean {
    return this.#state === "asleep";
  }

  /** Also read within the pump: the compiler would assume that the state has not changed. */
  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Called when an operation was submitted. A turn follows. */
  schedule(): void {
    if (this.#state === "asleep" || this.#state === "spinning") {
      this.#turns.resume(this.#ring.now);
      this.#chain();
    } else if (this.#state === "yielding") {
      this.#state = "leaving";
      this.#quiet.begin();
    }
  }

  /** Whether a call is pending that keeps the process alive. */
  get isReferenced(): boolean {
    return this.#keeper.#referenceCount > 0;
  }

  /** Counts a pending call that keeps the process alive. Only at a keeper. */
  addReference(): void {
    if (this.#referenceCount++ > 0) return;
    if (this.#state === "asleep") this.#updateReference();
    else this.#endGap();
    if (this.#partner !== null) this.#partner.#endGap();
  }

  /** The counterpart of `addReference`. */
  removeReference(): void {
    if (--this.#referenceCount === 0 && this.#state === "asleep") this.#updateReference();
  }

  close(): void {
    this.#state = "closed";
    this.#gap?.cancel();
    this.#doorbell.close();
  }

  /**
   * The activity of both directions. So a receiving ring waits for the sends that answer its last
   * batch, and its next turn then finds further bytes.
   */
  get #activity(): number {
    const { activity } = this.#ring;
    return this.#partner === null ? activity : activity + this.#partner.#ring.activity;
  }

  #onQuiet(): void {
    if (this.#state === "leaving") this.#giveWay();
    if (this.#state !== "scheduled") return;
    if (this.#turns.mayGoOn(this.#ring.host.now())) this.#turn();
    else this.#giveWay();
  }

  /** Takes a turn. After a wakeup, a flag tells the shim to arm the doorbell again. */
  #takeTurn(look: number): number {
    const woken = this.#wakeupFlag;
    this.#wakeupFlag = 0;
    return this.#ring.turn(woken | look);
  }

  #turn(): void {
    const ring = this.#ring;
    this.#turns.count();
    const count = this.#takeTurn(0);
    if (this.isClosed) return;
    if (ring.hasMore || ring.canStage || (count > 0 && !this.#mayRest)) this.#chain();
    else if (ring.inFlight === 0) this.#sleep();
    else this.#spin();
  }

  /**
   * Whether no completion can come before the next call. A keeper still takes one more turn,
   * because a sleep would reference its doorbell until that call.
   */
  get #mayRest(): boolean {
    return this.#keeper !== this && this.#ring.inFlight === 0;
  }

  #chain(): void {
    this.#state = "scheduled";
    this.#quiet.begin();
  }

  /** Submits the last calls, and takes the next turn after the runtime's timers and I/O. */
  #giveWay(): void {
    if (this.#ring.canStage) this.#takeTurn(TURN_SUBMIT);
    if (!this.isClosed) this.#yieldAndRetry();
  }

  /** Queues at most one macrotask, whose work depends on the state that it finds. */
  #queueMacrotask(): void {
    if (this.#macrotaskQueued) return;
    this.#macrotaskQueued = true;
    const { host } = this.#ring;
    if (this.isReferenced || ++this.#unreferencedCount % UNREFERENCED_GAP !== 0) {
      host.setMacrotask(this.#onMacrotask);
    } else {
      this.#updateReference();
      this.#gap = host.setTimer(this.#onMacrotask, 0);
    }
  }

  /** Called when a call becomes pending, so that the process does not end before the next turn. */
  #endGap(): void {
    if (this.#gap === null) return;
    this.#gap.cancel();
    this.#gap = null;
    this.#ring.host.setMacrotask(this.#onMacrotask);
  }

  readonly #onMacrotask = (): void => {
    this.#macrotaskQueued = false;
    this.#gap = null;
    this.#turns.restart(this.#ring.host.now());
    if (this.#state === "spinning") this.#spinStep();
    else if (this.#state === "yielding") this.#chain();
  };

  #spin(): void {
    const budgetUs = this.spinner.budgetUs;
    if (budgetUs === 0) return this.#arm();
    this.#state = "spinning";
    this.#spinSinceMs = this.#ring.now;
    this.#spinUntilMs = this.#spinSinceMs + budgetUs / 1_000;
    this.#queueMacrotask();
  }

  get #spunUs(): number {
    return (this.#ring.now - this.#spinSinceMs) * 1_000;
  }

  #spinStep(): void {
    const ring = this.#ring;
    const count = this.#takeTurn(TURN_LOOK);
    if (this.isClosed) return;
    if (count > 0 || ring.hasMore) {
      this.spinner.hit(this.#spunUs);
      this.#chain();
    } else if (ring.now < this.#spinUntilMs) {
      this.#queueMacrotask();
    } else {
      this.spinner.miss(this.#spunUs);
      this.#arm();
    }
  }

  #arm(): void {
    const result = this.#ring.port.arm();
    if (result === 0) this.#sleep();
    else if (result > 0) this.#chain();
    // The doorbell could not be armed, most likely because memory is short. Tries again later.
    else this.#yieldAndRetry();
  }

  #yieldAndRetry(): void {
    this.#state = "yielding";
    this.#queueMacrotask();
  }

  #sleep(): void {
    this.#state = "asleep";
    this.#asleepSinceMs = this.#ring.now;
    this.#ring.onSleep();
    this.#updateReference();
  }

  #updateReference(): void {
    const wanted = this.#referenceCount > 0;
    if (wanted === this.#referenced) return;
    this.#referenced = wanted;
    if (wanted) this.#doorbell.ref();
    else this.#doorbell.unref();
  }

  readonly #onWake = (): void => {
    if (this.#state === "closed") return;
    this.#wakeupFlag = TURN_WOKEN;
    this.#ring.meter.counts[COUNT.wakeups]++;
    if (this.#state !== "asleep") return;
    const nowMs = this.#ring.host.now();
    this.#turns.restart(nowMs);
    if (this.spinner.enabled) this.spinner.woke((nowMs - this.#asleepSinceMs) * 1_000);
    this.#turn();
  };
}
