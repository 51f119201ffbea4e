/**
 * Answers calls in a Worker.
 *
 * @module
 */
import {
  type CallTypes,
  type FromWorker,
  toSent,
  type ToWorker,
} from "./messages.ts";

/** What a call comes with. */
export interface CallContext<Event> {
  /** Aborted when nobody wants the result any more. */
  readonly signal: AbortSignal;
  /** Reports what happens meanwhile. */
  readonly emit: (event: Event, transfer?: Transferable[]) => void;
}

/** What a call gives. */
export interface Answer<Output> {
  /** The result. */
  readonly output: Output;
  /** Its buffers that are handed over rather than copied. */
  readonly transfer?: Transferable[];
}

/** What does the work of each call. */
export type Handlers<Calls extends CallTypes> = {
  readonly [Name in keyof Calls]: (
    input: Calls[Name]["input"],
    context: CallContext<Calls[Name]["event"]>,
  ) => Promise<Answer<Calls[Name]["output"]>>;
};

/** The part of a Worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

/**
 * Answers the calls that come to this Worker.
 *
 * @param begin makes what does the work, from what the Worker is started with
 * @param advise makes the advice in an error fit, such as the tool to run
 */
export function answerCalls<Setup, Calls extends CallTypes>(
  begin: (setup: Setup) => Handlers<Calls>,
  advise: (error: unknown) => unknown = (error) => error,
): void {
  const scope = globalThis as unknown as WorkerScope;
  const send = (message: FromWorker, transfer: Transferable[] = []) =>
    scope.postMessage(message, transfer);
  const running = new Map<number, AbortController>();
  let handlers: Handlers<Calls> | undefined;
  const answer = async (id: number, name: keyof Calls, input: unknown) => {
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const { output, transfer } = await handlers![name](input, {
        signal: controller.signal,
        emit: (event, transfer) => send({ type: "event", id, event }, transfer),
      });
      send({ type: "result", id, output }, transfer);
    } catch (error) {
      send({ type: "error", id, error: toSent(advise(error)) });
    } finally {
      running.delete(id);
    }
  };
  scope.onmessage = ({ data }) => {
    switch (data.type) {
      case "start":
        // What the server starts a Worker with is what this Worker is made for.
        handlers = begin(data.setup as Setup);
        break;
      case "call":
        answer(data.id, data.name, data.input);
        break;
      case "abort":
        running.get(data.id)?.abort();
        break;
      case "ping":
        send({ type: "pong" });
        break;
    }
  };
}
