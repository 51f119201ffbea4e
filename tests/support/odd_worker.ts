/**
 * A Worker without a GPU that does whatever Workers must not do, when asked.
 *
 * @module
 */
import { MasterWeaverError } from "../../src/base/errors.ts";
import {
  answerCalls,
  type CallContext,
} from "../../src/studio/engine/worker_side.ts";

/** What it can be asked. */
export type OddCalls = {
  /** Answers what it is given, with what the Worker was started with, and reports it twice. */
  echo: { input: string; event: string; output: string };
  /** Fails as told. */
  fail: { input: "masterweaver" | "bug"; event: never; output: never };
  /** Ends itself without a word. */
  close: { input: null; event: never; output: never };
  /** Throws where nobody catches it. */
  crash: { input: null; event: never; output: never };
  /** Waits until it is told to stop; or goes on for ever. */
  wait: { input: "polite" | "deaf"; event: "waiting"; output: never };
  /** Works without ever giving other messages a turn. */
  block: { input: null; event: never; output: never };
};

answerCalls<string, OddCalls>((setup) => ({
  echo: (input, { emit }: CallContext<string>) => {
    emit(input);
    emit(input);
    return Promise.resolve({ output: `${setup} ${input}` });
  },
  fail: (input) => {
    throw input === "bug"
      ? new TypeError("It is not a function")
      : new MasterWeaverError("bad-image", "The photo is damaged");
  },
  close: () => {
    self.close();
    return new Promise(() => {});
  },
  crash: () => {
    setTimeout(() => {
      throw new Error("Out of luck");
    });
    return new Promise(() => {});
  },
  wait: (input, { signal, emit }) =>
    new Promise((_, reject) => {
      emit("waiting");
      if (input === "deaf") return;
      signal.addEventListener("abort", () => {
        reject(new MasterWeaverError("aborted", "Stopped as told"));
      });
    }),
  block: () => {
    while (true);
  },
}));
