/**
 * The model of the page: from the first look at the GPU until it can be used,
 * and another one whenever somebody picks it.
 *
 * @module
 */
import { adapterKind } from "../../gpu/adapter_kind.ts";
import { isRecentBrowser } from "../../gpu/browsers.ts";
import type { GpuCalls } from "../../studio/engine/gpu_calls.ts";
import { WorkerPhotoReader } from "../../studio/engine/photo_reader.ts";
import { WorkerCalls } from "../../studio/engine/worker_calls.ts";
import {
  GPU_PATIENCE,
  WorkerEngine,
} from "../../studio/engine/worker_engine.ts";
import { LocalQueue } from "../../studio/jobs/local_queue.ts";
import { EngineError } from "../../studio/page/engine/engine.ts";
import { batch, effect, signal } from "../../studio/page/preact.tsx";
import type { Cell } from "../../studio/page/state/cell.ts";
import { remember, remembered } from "../../studio/page/state/remembered.ts";
import type { ErrorResource } from "../../studio/wire/resources.ts";
import { damagedFile, toEngineError, withRemedy } from "../engine/errors.ts";
import { siteText } from "../strings.ts";
import type { AddressPlace, FolderPlace, ModelPlace } from "../model/place.ts";
import type { GpuWorkerSetup } from "../workers/setups.ts";
import type {
  PreparedModel,
  WeightsCalls,
  WeightsProgress,
} from "../workers/weights_calls.ts";
import { askToPersist } from "./persistence.ts";

/** How far the model is. */
export type ModelStatus =
  | { readonly state: "starting" }
  /** Nothing can be computed here. */
  | {
    readonly state: "no-gpu";
    readonly why: "too-old" | "insecure" | "no-webgpu" | "no-adapter";
  }
  /** Only on the CPU, which takes somebody's word. */
  | { readonly state: "software" }
  | { readonly state: "coming"; readonly progress: WeightsProgress | null }
  | { readonly state: "ready"; readonly prepared: PreparedModel }
  | { readonly state: "failed"; readonly error: EngineError };

/** The Workers' modules. */
export interface WorkerModules {
  /** Has the GPU. */
  readonly gpu: URL;
  /** Looks at photos. */
  readonly photo: URL;
  /** Looks after weights. */
  readonly weights: URL;
}

/** A model that is open. */
export interface OpenedModel {
  /** Runs jobs. */
  readonly queue: LocalQueue;
  /** Looks at photos. */
  readonly photos: WorkerPhotoReader;
  /** The last error that is a bug. */
  lastBug: unknown;
}

/** Jobs that may wait: the page starts one at a time. */
const MOST_WAITING = 16;

/** Milliseconds a job may run: as long as a timer can be. */
const LONGEST_JOB = 2 ** 31 - 1;

/** Advice for whoever converted a model. */
const FOR_CONVERTERS = /; (?:convert or copy|the folder holds) .*$/;

/** The page's model. */
export class ModelHolder {
  /** How far it is. */
  readonly status: Cell<ModelStatus> = signal<ModelStatus>({
    state: "starting",
  });
  /** Where it is. */
  readonly place: Cell<ModelPlace>;
  /** Is called whenever a model can be used. */
  onReady: () => void = () => {};
  readonly #own: AddressPlace;
  readonly #modules: WorkerModules;
  readonly #weights: WorkerCalls<WeightsCalls>;
  #ready = Promise.withResolvers<OpenedModel>();
  #opened: OpenedModel | null = null;
  #controller = new AbortController();
  #isAllowed = false;

  /**
   * Nothing is started yet.
   *
   * @param own the model that comes with the page
   */
  constructor(own: AddressPlace, modules: WorkerModules) {
    this.#own = own;
    this.place = signal(own);
    this.#modules = modules;
    this.#weights = new WorkerCalls({
      module: modules.weights,
      setup: null,
      name: "weights",
      patience: GPU_PATIENCE,
    });
  }

  /** Looks for a GPU; where there is one, fetches the model. */
  async start(): Promise<void> {
    if (!isRecentBrowser()) {
      this.status.value = { state: "no-gpu", why: "too-old" };
      return;
    }
    const kind = await adapterKind();
    if (kind === "no-webgpu" || kind === "no-adapter") {
      const why = isSecureContext ? kind : "insecure";
      this.status.value = { state: "no-gpu", why };
      return;
    }
    if (kind === "software" && remembered("software") !== true) {
      this.status.value = { state: "software" };
      return;
    }
    this.#isAllowed = true;
    await this.#prepare();
  }

  /** Computes on the CPU, now and at later visits. */
  async allowSoftware(): Promise<void> {
    remember("software", true);
    this.#isAllowed = true;
    await this.#prepare();
  }

  /** Whether the model is the one that comes with the page. */
  get isOwn(): boolean {
    return this.place.value.kind === "address";
  }

  /** Uses a folder that was picked, with the site's face detector where it has none. */
  async useFolder(folder: FolderPlace): Promise<void> {
    await this.use({ ...folder, site: this.#own });
  }

  /** Uses another model; what is being made is stopped. */
  async use(place: ModelPlace): Promise<void> {
    const { landmarks } = this.place.value;
    this.place.value = { ...landmarks && { landmarks }, ...place };
    if (this.#isAllowed) await this.#prepare();
  }

  /** Goes back to the model that comes with the page. */
  async useOwn(): Promise<void> {
    await this.use(this.#own);
  }

  /** Tries once more; what is kept stays. */
  async retry(): Promise<void> {
    await this.#prepare();
  }

  /** Forgets what is kept of the model, and fetches it anew. */
  async fetchAnew(): Promise<void> {
    this.status.value = { state: "coming", progress: null };
    // What cannot be forgotten is found out when it is prepared.
    await this.#weights.call("forget", this.place.value).catch(() => {});
    await this.#prepare();
  }

  /** An error of the model in use, without advice that its visitor cannot follow. */
  forVisitors({ code, message }: ErrorResource): ErrorResource {
    const isMended = this.#isOfSite(damagedFile({ code, message }));
    return { code, message: isMended ? withRemedy(message) : message };
  }

  /**
   * Where an error says that a file of the site is damaged: checks what is kept
   * once more, and fetches again what is damaged.
   */
  async mend(error: ErrorResource | null): Promise<void> {
    const { value: before } = this.status;
    const isNews = error && this.#isOfSite(damagedFile(error)) &&
      before.state === "ready";
    if (!isNews) return;
    const { signal } = this.#controller;
    this.status.value = { state: "coming", progress: null };
    // What cannot be checked is found out when it is read again.
    const forgotten = await this.#weights.call("recheck", this.#own, {
      signal,
      onEvent: (progress) => {
        if (signal.aborted) return;
        this.status.value = { state: "coming", progress };
      },
    }).catch(() => 0);
    if (signal.aborted) return;
    if (forgotten > 0) await this.#prepare();
    else this.status.value = before;
  }

  /** Whether a file's name in a message means one that was fetched from the site. */
  #isOfSite(name: string | null): boolean {
    const place = this.place.value;
    if (name === null || name === "landmarks.weave" && place.landmarks) {
      return false;
    }
    return place.kind === "address" ||
      name === "face_detector.weave" && !(name in place.files);
  }

  /** The model, as soon as it can be used. */
  opened(): Promise<OpenedModel> {
    return this.#ready.promise;
  }

  /**
   * The model, as soon as it can be used; null where that is not waited for any more.
   *
   * @throws {EngineError} where none will come before somebody does something
   */
  async openedUnless(stopped: Promise<null>): Promise<OpenedModel | null> {
    const blocked = Promise.withResolvers<never>();
    const end = effect(() => {
      const obstacle = obstacleOf(this.status.value);
      if (obstacle) blocked.reject(obstacle);
    });
    try {
      return await Promise.race([this.opened(), stopped, blocked.promise]);
    } finally {
      end();
    }
  }

  async #prepare(): Promise<void> {
    this.#controller.abort();
    const controller = this.#controller = new AbortController();
    const { signal } = controller;
    this.status.value = { state: "coming", progress: null };
    await this.#close();
    try {
      const place = this.place.value;
      const prepared = await this.#weights.call("prepare", place, {
        signal,
        onEvent: (progress) => {
          if (signal.aborted) return;
          const { stage, done, total } = progress;
          if (stage === "fetch" && done < total) askToPersist();
          this.status.value = { state: "coming", progress };
        },
      });
      if (signal.aborted) return;
      const opened = this.#opened = this.#open(place, prepared);
      batch(() => {
        this.status.value = { state: "ready", prepared };
        this.#ready.resolve(opened);
      });
      this.onReady();
    } catch (error) {
      if (signal.aborted) return;
      this.status.value = { state: "failed", error: this.#fault(error) };
    }
  }

  /** What is wrong; the site's own model is not for its visitor to convert. */
  #fault(error: unknown): EngineError {
    const { code, message, more } = toEngineError(error);
    const here = this.isOwn
      ? message.replace(FOR_CONVERTERS, "; fetch it again")
      : message;
    return new EngineError(code, here, more);
  }

  #open(place: ModelPlace, { model, bytes }: PreparedModel): OpenedModel {
    const label = place.kind === "address"
      ? `weights/${place.name}`
      : place.name;
    const setup: GpuWorkerSetup = { place, label, bytes };
    const worker = new WorkerCalls<GpuCalls>({
      module: this.#modules.gpu,
      setup,
      name: "GPU",
      patience: GPU_PATIENCE,
      lastCall: "release",
    });
    const photos = new WorkerPhotoReader(
      { place, aligns: model.alignFaces },
      {},
      this.#modules.photo,
    );
    const engine = new WorkerEngine({ model, worker, photos, owned: photos });
    const opened: OpenedModel = {
      queue: new LocalQueue(engine, {
        maxWaiting: MOST_WAITING,
        jobTimeout: LONGEST_JOB,
        onBug: (error) => opened.lastBug = error,
      }),
      photos,
      lastBug: undefined,
    };
    return opened;
  }

  async #close(): Promise<void> {
    const opened = this.#opened;
    if (!opened) return;
    this.#opened = null;
    this.#ready = Promise.withResolvers();
    await opened.queue[Symbol.asyncDispose]();
  }
}

/** Why no model will come; null where one may. */
function obstacleOf(status: ModelStatus): EngineError | null {
  const words = siteText.value.gpu;
  switch (status.state) {
    case "no-gpu":
      return new EngineError("no-gpu", words.missingAbove);
    case "software":
      return new EngineError("no-gpu", words.softwareAbove);
    case "failed":
      return status.error;
    default:
      return null;
  }
}
