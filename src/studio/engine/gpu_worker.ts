/**
 * The Worker with the GPU: one model, which encodes people and makes images.
 *
 * @module
 */
import type { CallOptions } from "../../base/progress.ts";
import type { Preview } from "../../generate/previews.ts";
import { encodePng } from "../../host/codecs/codec.ts";
import { withTools } from "../../host/advice.ts";
import { checkText, encodeImage, textOf } from "../../host/image_file.ts";
import type { Image } from "../../image/image.ts";
import { type Provenance, toText } from "../../options/settings_text.ts";
import { table } from "../../options/table.ts";
import type { MasterWeaver } from "../../host/masterweaver.ts";
import { withoutUndefined } from "../../options/options.ts";
import type { ImageFile } from "./engine.ts";
import type {
  EncodeInput,
  EncodeOutput,
  GenerateInput,
  GpuCalls,
  GpuEvent,
  GpuSetup,
} from "./gpu_calls.ts";
import { adapterLabel, modelLabel } from "./model_resource.ts";
import { ModelKeeper } from "./model_keeper.ts";
import { type Answer, answerCalls, type CallContext } from "./worker_side.ts";

type Context = CallContext<GpuEvent>;

answerCalls<GpuSetup, GpuCalls>((setup) => {
  let emit: Context["emit"] = () => {};
  const keeper = new ModelKeeper(setup, ({ dtype, gpu: { info } }) => {
    emit({ type: "loaded", dtype, gpu: info.description || info.vendor });
  });
  return {
    encode: (input, context) => {
      emit = context.emit;
      return keeper.use(
        { ...options(context), onWarning: undefined },
        (weaver) => encode(weaver, input, context),
      );
    },
    generate: (input, context) => {
      emit = context.emit;
      const call = options(context);
      return keeper.use(
        call,
        (weaver) => generate(weaver, setup, input, call, context),
      );
    },
    release: async () => {
      await keeper.release();
      return { output: null };
    },
  };
});

/** The options of a call of the library; where it works twice, it warns once. */
function options({ signal, emit }: Context): CallOptions {
  const told = new Set<string>();
  return {
    signal,
    onProgress: (progress) => emit({ type: "progress", progress }),
    onWarning: (warning) => {
      if (told.has(warning)) return;
      told.add(warning);
      emit({ type: "warning", warning: withTools(warning) });
    },
  };
}

async function encode(
  weaver: MasterWeaver,
  { photos, choices }: EncodeInput,
  context: Context,
): Promise<Answer<EncodeOutput>> {
  const warnings: string[] = [];
  const { references, ...identity } = await weaver.encodeIdentity(photos, {
    ...choices,
    ...options(context),
    onWarning: (warning) => warnings.push(withTools(warning)),
  });
  const faces = references.map((face) => imageFile("png", face, null));
  return { output: { identity, faces, warnings }, transfer: buffers(faces) };
}

async function generate(
  weaver: MasterWeaver,
  setup: GpuSetup,
  input: GenerateInput,
  call: CallOptions,
  context: Context,
): Promise<Answer<GpuCalls["generate"]["output"]>> {
  const { settings, identity, format } = input;
  const text = toText(settings, provenance(weaver, setup, input));
  // Before any work, rather than after it.
  checkText(format, text);
  const made = await weaver.generate({
    ...settings,
    identity,
    ...call,
    ...input.preview && { onPreview: previewSender(context) },
  });
  const images = made.images.map((image, i) =>
    imageFile(format, image, textOf(text, i))
  );
  const { truncatedPrompt } = made;
  return { output: { images, truncatedPrompt }, transfer: buffers(images) };
}

/** What images record besides their settings, as the command has it. */
function provenance(
  { hash, dtype }: MasterWeaver,
  { model, adapter, tune }: GpuSetup,
  { identity, choices, photoHashes }: GenerateInput,
): Provenance {
  return {
    model: modelLabel(model),
    ...adapter !== undefined && { adapter: adapterLabel(adapter) },
    modelHash: hash,
    adapterHash: identity.adapterHash,
    dtype,
    tune,
    parse: table.parse.default,
    requireFace: table.requireFace.default,
    ...withoutUndefined(choices),
    referenceHashes: photoHashes,
  };
}

/** Sends previews as PNG files. */
function previewSender({ emit }: Context): (preview: Preview) => void {
  return ({ images, ...step }) => {
    const files = images.map((image) => encodePng(image, {}));
    emit(
      { type: "preview", preview: { ...step, images: files } },
      files.map(({ buffer }) => buffer),
    );
  };
}

function imageFile(
  format: "png" | "jpeg",
  image: Image,
  text: Record<string, string> | null,
): ImageFile {
  const { width, height } = image;
  return {
    bytes: encodeImage(format, image, text),
    mediaType: `image/${format}`,
    width,
    height,
  };
}

function buffers(files: readonly ImageFile[]): ArrayBuffer[] {
  return files.map(({ bytes }) => bytes.buffer);
}
