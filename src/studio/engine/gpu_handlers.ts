/**
 * What the Worker with the GPU does: one model encodes people and makes images.
 * The Worker's module says where the model is, and how files are written.
 *
 * @module
 */
import type { CallOptions } from "../../base/progress.ts";
import type { Preview } from "../../generate/previews.ts";
import type { TuneMode } from "../../graph/tuner.ts";
import type { AskedExtras, CallExtras } from "../../host/call_extras.ts";
import type { Image } from "../../image/image.ts";
import { checkSettings, withoutUndefined } from "../../options/options.ts";
import {
  type Provenance,
  type Texts,
  toText,
} from "../../options/settings_text.ts";
import { table } from "../../options/table.ts";
import type { MasterWeaver } from "../../pipeline.ts";
import type { ImageFile } from "./engine.ts";
import { withChosenExtras } from "./chosen_extras.ts";
import type {
  DecodedSources,
  EncodeInput,
  EncodeOutput,
  GenerateInput,
  GpuCalls,
  GpuEvent,
  UpscaleInput,
  UsedIdentity,
} from "./gpu_calls.ts";
import { ModelKeeper, type ModelLoader } from "./model_keeper.ts";
import type { Answer, CallContext, Handlers } from "./worker_side.ts";

/** The formats that are written. */
export type ImageFormat = "png" | "jpeg";

type Context = CallContext<GpuEvent>;

/** A file's bytes, at once or later: a browser compresses in the background. */
export type FileBytes =
  | Uint8Array<ArrayBuffer>
  | Promise<Uint8Array<ArrayBuffer>>;

/** What this takes of whoever starts it. */
export interface GpuHost extends ModelLoader {
  /** What images call the model, and its identity adapter where it has another. */
  readonly labels: Pick<Provenance, "model" | "adapter" | "taesd">;
  /** Whether kernels are timed, as images record it. */
  readonly tune: TuneMode;
  /**
   * Opens the extra files that a call names, which are never found by a path.
   *
   * @throws {MasterWeaverError} `bad-option` where one is missing; `cannot-read`, `bad-checkpoint`, `bad-model`
   */
  openExtras(asked: AskedExtras): Promise<CallExtras>;
  /** A warning of the library with what to do here. */
  advise(warning: string): string;
  /**
   * Checks that a format can hold settings.
   *
   * @throws {MasterWeaverError} `bad-option` where it cannot
   */
  checkText(format: ImageFormat, text: Texts): void;
  /** Writes an image's file, with its settings where there are any. */
  encodeImage(format: ImageFormat, image: Image, text: Texts | null): FileBytes;
}

/** What does the work of each call. */
export function gpuHandlers(host: GpuHost): Handlers<GpuCalls> {
  let emit: Context["emit"] = () => {};
  const keeper = new ModelKeeper(host, ({ dtype, gpu: { info } }) => {
    emit({ type: "loaded", dtype, gpu: info.description || info.vendor });
  });
  return {
    encode: (input, context) => {
      emit = context.emit;
      return keeper.use(
        { ...options(host, context), onWarning: undefined },
        (weaver) => encode(weaver, host, input, context),
      );
    },
    generate: (input, context) => {
      emit = context.emit;
      const call = options(host, context);
      return keeper.use(
        call,
        (weaver) => generate(weaver, host, input, call, context),
      );
    },
    upscale: (input, context) => {
      emit = context.emit;
      const call = options(host, context);
      return keeper.use(call, (weaver) => upscale(weaver, host, input, call));
    },
    release: async () => {
      await keeper.release();
      return { output: null };
    },
  };
}

/** The options of a call of the library; where it works twice, it warns once. */
function options(host: GpuHost, { signal, emit }: Context): CallOptions {
  const told = new Set<string>();
  return {
    signal,
    onProgress: (progress) => emit({ type: "progress", progress }),
    onWarning: (warning) => {
      if (told.has(warning)) return;
      told.add(warning);
      emit({ type: "warning", warning: host.advise(warning) });
    },
  };
}

async function encode(
  weaver: MasterWeaver,
  host: GpuHost,
  { photos, choices }: EncodeInput,
  context: Context,
): Promise<Answer<EncodeOutput>> {
  const warnings: string[] = [];
  const { references, ...identity } = await weaver.encodeIdentity(photos, {
    ...choices,
    ...options(host, context),
    onWarning: (warning) => warnings.push(host.advise(warning)),
  });
  const faces = await Promise.all(
    references.map((face) => imageFile(host, "png", face, null)),
  );
  return { output: { identity, faces, warnings }, transfer: buffers(faces) };
}

async function generate(
  weaver: MasterWeaver,
  host: GpuHost,
  input: GenerateInput,
  call: CallOptions,
  context: Context,
): Promise<Answer<GpuCalls["generate"]["output"]>> {
  const { settings, person, sources, format } = input;
  const { initImage, mask, controls } = sources;
  const { text, made } = await withChosenExtras(
    host,
    { settings, controls },
    async (extras) => {
      const text = toText(settings, provenance(weaver, host, input, extras));
      // Before any work, rather than after it.
      host.checkText(format, text);
      const { loras, promptLoras, embeddings, upscalers } = extras;
      const made = await weaver.generate({
        ...settings,
        ...person && { identity: person.identity },
        initImage: initImage?.image,
        mask: mask?.image,
        controls: extras.controls.map((control, i) => ({
          ...control,
          image: controls[i].image.image,
        })),
        loras,
        promptLoras,
        embeddings,
        upscalers,
        ...call,
        ...input.preview && { onPreview: previewSender(host, context) },
      });
      return { text, made };
    },
  );
  const images = await Promise.all(
    made.images.map((image, i) =>
      imageFile(host, format, image, textOf(text, i))
    ),
  );
  const { truncatedPrompt } = made;
  return { output: { images, truncatedPrompt }, transfer: buffers(images) };
}

async function upscale(
  weaver: MasterWeaver,
  host: GpuHost,
  { image, upscaler: name, by, format }: UpscaleInput,
  call: CallOptions,
): Promise<Answer<GpuCalls["upscale"]["output"]>> {
  const { size } = weaver;
  const settings = checkSettings({ prompt: "", upscale: name }, size);
  const made = await withChosenExtras(
    host,
    { settings, controls: [] },
    ({ upscalers }) =>
      weaver.upscale(image, {
        ...call,
        upscaler: upscalers[name],
        upscaleBy: by,
      }),
  );
  const images = [await imageFile(host, format, made, null)];
  return { output: { images, truncatedPrompt: "" }, transfer: buffers(images) };
}

/** What images record besides their settings, as the command has it. */
function provenance(
  { hash, dtype }: MasterWeaver,
  { labels: { model, adapter, taesd }, tune }: GpuHost,
  { settings, person, sources }: GenerateInput,
  { hashes }: CallExtras,
): Provenance {
  const { initImage, mask } = sources;
  return withoutUndefined({
    model,
    modelHash: hash,
    dtype,
    tune,
    ...settings.decoder === "taesd" && { taesd },
    ...person && ofPerson(person, adapter),
    initImageHash: initImage?.hash,
    maskHash: mask?.hash,
    ...ofControls(sources),
    ...hashes,
  });
}

function ofPerson(
  { identity, choices, photoHashes }: UsedIdentity,
  adapter: string | undefined,
): Partial<Provenance> {
  return {
    adapter,
    adapterHash: identity.adapterHash,
    parse: table.parse.default,
    requireFace: table.requireFace.default,
    ...withoutUndefined(choices),
    referenceHashes: photoHashes,
  };
}

function ofControls(
  { controls }: DecodedSources,
): Partial<Provenance> {
  if (controls.length === 0) return {};
  return {
    controlnet: controls.map(({ name }) => name),
    controlScale: controls.map(({ scale = 1 }) => scale),
    controlRange: controls.map(({ start = 0, end = 1 }) => [start, end]),
    controlPreprocess: controls.map(({ preprocess = "none" }) => preprocess),
    controlImageHashes: controls.map(({ image: { hash } }) => hash),
  };
}

/** Sends previews as PNG files. */
function previewSender(
  host: GpuHost,
  { emit }: Context,
): (preview: Preview) => void {
  const send = async ({ images, ...step }: Preview) => {
    const files = await Promise.all(
      images.map((image) => host.encodeImage("png", image, null)),
    );
    emit(
      { type: "preview", preview: { ...step, images: files } },
      files.map(({ buffer }) => buffer),
    );
  };
  // A preview that cannot be written is missing, and nothing else.
  return (preview) => void send(preview).catch(() => {});
}

async function imageFile(
  host: GpuHost,
  format: ImageFormat,
  image: Image,
  text: Texts | null,
): Promise<ImageFile> {
  const { width, height } = image;
  const bytes = await host.encodeImage(format, image, text);
  return { bytes, mediaType: `image/${format}`, width, height };
}

function buffers(files: readonly ImageFile[]): ArrayBuffer[] {
  return files.map(({ bytes }) => bytes.buffer);
}

/** The text of one of several images. */
function textOf(text: Texts, index: number): Texts {
  return { ...text, image_index: String(index) };
}
