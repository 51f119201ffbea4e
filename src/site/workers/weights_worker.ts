/**
 * The Worker that looks after weights: fetches a model, checks every byte once,
 * and says what the model is.
 *
 * @module
 */
import { MasterWeaverError } from "../../base/errors.ts";
import { throwIfAborted } from "../../base/progress.ts";
import { describeModel } from "../../studio/engine/describe_model.ts";
import {
  answerCalls,
  type CallContext,
} from "../../studio/engine/worker_side.ts";
import {
  type ComponentName,
  type ModelFiles,
  openComponentFile,
} from "../../weights/components.ts";
import {
  chunkCount,
  chunkLength,
  ChunkStore,
  type RemoteFile,
} from "../model/chunk_store.ts";
import { download } from "../model/download.ts";
import { forgetEarlier, listAddress, openPlace } from "../model/open_place.ts";
import type { AddressPlace } from "../model/place.ts";
import type {
  PreparedModel,
  WeightsCalls,
  WeightsProgress,
} from "./weights_calls.ts";

type Context = CallContext<WeightsProgress>;

/** Milliseconds between two looks at what another tab has fetched. */
const LOOK = 1000;

answerCalls<null, WeightsCalls>(() => ({
  prepare: async (place, context) => {
    if (place.kind === "address") await fetchModel(place, context);
    const files = await openPlace(place);
    const model = await describeModel(files, place.name);
    const sources = Object.values(files).filter((file) => "read" in file);
    const bytes = sources.reduce((sum, { size }) => sum + size, 0);
    const output: PreparedModel = { model, bytes };
    return { output };
  },
  recheck: async (place, context) => ({
    output: await recheckModel(place, context),
  }),
  forget: async (place) => {
    if (place.kind === "address") await forgetModel(place);
    return { output: null };
  },
}));

/** Fetches what is missing, and checks what was never checked. */
async function fetchModel(
  place: AddressPlace,
  { signal, emit }: Context,
): Promise<void> {
  const store = await ChunkStore.open();
  const listed = await listAddress(place, store, "fresh");
  await forgetEarlier(place, listed, store);
  // Landmarks are fetched when a face is to be aligned.
  const wanted = listed.files.filter(([name]) => name !== "landmarks");
  const total = wanted.reduce((sum, [, { bytes }]) => sum + bytes, 0);
  const here = new Map<RemoteFile, number>();
  for (const [, file] of wanted) here.set(file, await keptBytes(file, store));
  const tell = (file: RemoteFile, bytes: number) => {
    here.set(file, Math.max(bytes, here.get(file)!));
    const done = [...here.values()].reduce((sum, count) => sum + count, 0);
    emit({ stage: "fetch", done, total });
  };
  for (const [, file] of wanted) {
    let own = here.get(file)!;
    tell(file, own);
    // Another tab may be at it, and this one waits.
    const look = async () => tell(file, await keptBytes(file, store));
    const timer = setInterval(() => look().catch(() => {}), LOOK);
    try {
      await download(file, store, {
        signal,
        onBytes: (count) => tell(file, own += count),
      });
    } finally {
      clearInterval(timer);
    }
  }
  let checked = 0;
  const opened = await openPlace(place);
  for (const [name, file] of wanted) {
    if (!await store.isChecked(file)) {
      emit({ stage: "check", done: checked, total });
      await check(store, file, () => readAll(opened, name, signal));
    }
    checked += file.bytes;
  }
}

async function keptBytes(
  file: RemoteFile,
  store: ChunkStore,
): Promise<number> {
  const kept = await store.indexes(file);
  return [...kept].reduce((sum, index) => sum + chunkLength(file, index), 0);
}

/** Checks every file that is kept whole; returns how many were damaged. */
async function recheckModel(
  place: AddressPlace,
  { signal, emit }: Context,
): Promise<number> {
  const store = await ChunkStore.open();
  const { files } = await listAddress(place, store, "kept");
  const opened = await openPlace(place);
  const total = files.reduce((sum, [, { bytes }]) => sum + bytes, 0);
  let checked = 0, damaged = 0;
  for (const [name, file] of files) {
    emit({ stage: "check", done: checked, total });
    if ((await store.indexes(file)).size === chunkCount(file)) {
      try {
        await check(store, file, () => readAll(opened, name, signal));
      } catch (error) {
        if (!isDamage(error)) throw error;
        damaged++;
      }
    }
    checked += file.bytes;
  }
  return damaged;
}

/** Reads a component's tensors, which checks them. */
async function readAll(
  files: ModelFiles,
  name: ComponentName,
  signal: AbortSignal,
): Promise<void> {
  const { tensors } = await openComponentFile(files, name);
  for (const tensor of tensors.values()) {
    for await (const _ of tensor.chunks()) throwIfAborted(signal);
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof MasterWeaverError && error.code === "bad-model";
}

/** Runs a check; a file that fails it is forgotten, so that the next attempt fetches it again. */
async function check(
  store: ChunkStore,
  file: RemoteFile,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isDamage(error)) await store.forget(file);
    throw error;
  }
  await store.setChecked(file);
}

async function forgetModel(place: AddressPlace): Promise<void> {
  const store = await ChunkStore.open();
  const { files } = await listAddress(place, store, "kept");
  for (const [, file] of files) await store.forget(file);
}
