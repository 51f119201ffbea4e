/**
 * Whether the server is there, and what model it has.
 *
 * @module
 */
import type { ModelResource } from "../../wire/resources.ts";
import { EngineError, type PageEngine } from "../engine/engine.ts";
import { wait } from "../engine/wait.ts";
import { signal } from "../preact.tsx";
import type { Cell } from "./cell.ts";

/** How the server is reached. */
export type ConnectionState = "connecting" | "there" | "lost" | "locked";

/** Milliseconds between two attempts. */
const PAUSE = 1500;

/** The way to the server. */
export class Connection {
  /** How it is. */
  readonly state: Cell<ConnectionState> = signal<ConnectionState>("connecting");
  /** The model; null before it is known. */
  readonly model: Cell<ModelResource | null> = signal(null);
  readonly #engine: PageEngine;
  #trying: Promise<void> | null = null;

  /**
   * Nothing is asked yet.
   *
   * @param onBack is called when the server is there again after it was lost or locked
   */
  constructor(engine: PageEngine, readonly onBack: () => void) {
    this.#engine = engine;
  }

  /** Asks until there is an answer; then the model is known. */
  connect(): Promise<void> {
    return this.#trying ??= this.#try().finally(() => {
      this.#trying = null;
    });
  }

  /** Takes in an error of the engine: it may mean that the server is gone. */
  notice({ code }: EngineError): void {
    if (code === "unauthorized") this.state.value = "locked";
    if (code !== "offline") return;
    this.state.value = "lost";
    this.connect();
  }

  /**
   * Signs in.
   *
   * @returns whether the token was right
   */
  async signIn(token: string): Promise<boolean> {
    try {
      await this.#engine.signIn(token);
    } catch {
      return false;
    }
    await this.connect();
    return true;
  }

  async #try(): Promise<void> {
    const wasAway = this.state.value === "lost" ||
      this.state.value === "locked";
    while (true) {
      try {
        this.model.value = await this.#engine.model();
        this.state.value = "there";
        if (wasAway) this.onBack();
        return;
      } catch (error) {
        const isLocked = error instanceof EngineError &&
          error.code === "unauthorized";
        this.state.value = isLocked ? "locked" : "lost";
        if (isLocked) return;
      }
      await wait(PAUSE);
    }
  }
}
