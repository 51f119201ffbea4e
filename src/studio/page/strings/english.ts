/**
 * What the page says in English, from which all languages take their strings: one
 * that lacks a string does not compile.
 *
 * @module
 */
import { englishHelp, englishLabels } from "./english_options.ts";

/** Counts things in English. */
function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** Lists things in English. */
function listed(things: readonly string[]): string {
  const last = things.at(-1) ?? "";
  return things.length < 2
    ? last
    : `${things.slice(0, -1).join(", ")} and ${last}`;
}

/** English, from which all languages take their strings. */
export const english = {
  title: "MasterWeaver Studio",
  /** Between two sentences. */
  stop: ". ",
  header: {
    docs: "API",
    language: "Language",
    theme: "Colours",
    themes: { auto: "As the system", light: "Light", dark: "Dark" },
    skip: "Skip to the images",
    model: "Model",
  },
  photos: {
    heading: "Who",
    choose: "Choose photos",
    hint: (most: number) =>
      `or drop or paste them anywhere: up to ${most} photos of one person`,
    dropHere: "Drop the photos",
    dropImage: "Drop the image to begin with",
    add: "Add a photo",
    full: (most: number) =>
      `This model takes ${most} photos; the others were left out`,
    alt: (index: number) => `Photo ${index}`,
    remove: (index: number) => `Remove photo ${index}`,
    moveEarlier: (index: number) => `Move photo ${index} forward`,
    moveLater: (index: number) => `Move photo ${index} back`,
    looking: "Looking for faces …",
    noFace: "No face found: the whole photo is used, and the likeness suffers",
    oneFace: "One face",
    severalFaces: (count: number) => `${count} faces: pick one on the photo`,
    pickFace: (index: number) => `The face to use in photo ${index}`,
    face: (number: number, count: number) => `Face ${number} of ${count}`,
    wholePhoto:
      "Used whole: this model takes portraits that are aligned already",
    noFaceWhole: "No face found: the likeness will suffer",
    severalWhole: (count: number) =>
      `${count} faces: crop the photo to one, for this model cannot pick`,
    notPhoto: (name: string) =>
      `${name} is no photo that can be read here: choose a PNG, JPEG or WebP`,
    damaged: (name: string) =>
      `${name} is damaged, or too large for this browser: save it again, or choose another photo`,
    tooLarge: (name: string, megabytes: number) =>
      `${name} has ${megabytes} MB; a photo may have 20`,
    nobody:
      "Without a photo the images show nobody in particular; identity needs one",
    filled: "The form has these settings now",
    missing: (what: readonly string[], count: number) =>
      `This browser does not have ${listed(what)}: add ${
        count === 1 ? "it" : "them"
      } again`,
    missingPhotos: (count: number) =>
      count === 1 ? "the photo" : `${count} photos`,
    missingInitImage: "the initial image",
    missingMask: "the mask",
    missingControls: (count: number) =>
      count === 1 ? "the control image" : `${count} control images`,
    hasSettings: "This image carries the settings it was made with",
    useSettings: "These settings again",
    dismiss: "Dismiss",
    tryAgain: "Try again",
    faces: "The encoder’s view",
    encoding: "The encoder looks …",
    encodingLater: "After the images",
    encoderFace: (index: number) => `Photo ${index} as the encoder sees it`,
  },
  form: {
    heading: "What",
    settings: "How",
    promptExample: "a photo of a woman with curly hair",
    random: "Random",
    size: "Size",
    sizeHint: (multiple: number, own: number) =>
      `Multiples of ${multiple}; this model was trained on ${own}`,
    changed: (count: number) => `${count} changed`,
    more: "More options",
    groups: {
      photo: "Photo options",
      prompt: "Prompt options",
      start: "Start from an image",
      control: "ControlNet",
      lora: "LoRA",
      size: "Size and upscaling",
      sampling: "Sampling",
      faster: "Faster",
    },
    reset: "Back to the defaults",
    default: "default",
    /** Values by the library's names. */
    choices: {
      true: "yes",
      false: "no",
      crop: "crop to the middle",
      pad: "pad with black",
      best: "the best",
      largest: "the largest",
      "torch-cuda": "PyTorch, GPU",
      "torch-cpu": "PyTorch, CPU",
      plain: "plain text",
      a1111: "as in AUTOMATIC1111",
      sample: "drawn",
      mean: "the mean",
      original: "the original",
      blur: "blurred colours",
      noise: "noise",
      nothing: "nothing",
      vae: "VAE",
      taesd: "TAESD, faster",
      auto: "as needed",
      on: "always",
      off: "never",
      latent: "latent",
      lanczos: "Lanczos",
      none: "none",
      canny: "edges (Canny)",
    },
    /** What holds where nothing is chosen, in words. */
    defaults: {
      face: "the best",
      fit: "squeezed",
      cudaThreads: "enough for all",
      guidanceRange: "0, 1",
      sampler: "DDIM",
      schedule: "the sampler's own",
      eta: "the sampler's own",
      guidanceRescale: "0",
      initLatents: "drawn",
      maskFill: "the original",
      maskBlur: "0",
      maskPaste: "yes",
      onlyMasked: "no",
      maskPadding: "32",
      decoder: "VAE",
      vaeTiling: "as needed",
      hiresScale: "no second pass",
      hiresWidth: "by the scale",
      hiresHeight: "by the scale",
      hiresUpscaler: "latent",
      hiresSteps: "as many",
      upscale: "none",
      upscaleBy: "2",
    },
    wrongNumber: (least: number, most: number) =>
      `A number in ${least}–${most}`,
    wrongWhole: (least: number, most: number) =>
      `A whole number in ${least}–${most}`,
    wrongMultiple: (multiple: number) => `A multiple of ${multiple}`,
    wrongPrompt: (most: number, count: number) =>
      `At most ${most} characters; this has ${count}`,
    wrongAlign:
      "This model has no landmarks, so it cannot align: run sh tools/setup.sh --with-landmarks on the server",
    wrongSeed: "A whole number from −2⁶³ to 2⁶⁴ − 1",
    wrongFace: "best, largest, or a number from 0",
    wrongRange: "Two rising fractions in 0–1",
    wrongOutpaint: "Whole numbers of pixels up to 2048",
    embeddings: (names: readonly string[]) =>
      `Embeddings, by their names in the prompt: ${names.join(", ")}`,
    noSecondPass:
      "A second pass follows images made from noise alone: it is left out while they start from an image",
  },
  start: {
    choose: "Choose an initial image",
    hint: "or drop one here; “Start from it” is at every finished image",
    other: "Another image",
    alt: "The initial image",
    altMasked: "The initial image; what is repainted is white",
    remove: "Remove the initial image",
    squeezed: (from: string, to: string) =>
      `Its ${from} pixels are squeezed to ${to}`,
    useSize: (size: string) => `Make ${size}`,
    paint: "Paint a mask",
    repaint: "Change the mask",
    maskFile: "Mask from a file",
    removeMask: "Remove the mask",
    maskHint: "White is repainted; without a mask, all of it",
    outpaint: "Extend the image, in pixels",
    sides: { left: "Left", top: "Top", right: "Right", bottom: "Bottom" },
    from: "Start from it",
    fromOf: (index: number) => `Start from image ${index}`,
  },
  mask: {
    heading: "What is repainted",
    hint: "Paint over what is to change",
    canvas:
      "The initial image, to paint on; by keyboard, choose the mask from a file instead",
    brush: "Brush",
    paint: "Paint",
    erase: "Erase",
    undo: "Undo",
    clear: "Clear",
    done: "Done",
  },
  controls: {
    add: "Add a ControlNet",
    name: (index: number) => `ControlNet ${index}`,
    choose: (index: number) => `Image of ControlNet ${index}`,
    hint: "Choose or drop an image",
    photo: "The first photo is used",
    alt: (index: number) => `What ControlNet ${index} sees`,
    other: "Another image",
    remove: (index: number) => `Remove ControlNet ${index}`,
    pick: "Choose a ControlNet",
    preprocess: "Make of the image",
    face: "faces’ landmarks",
    scale: "Scale",
    start: "From",
    end: "To",
    wrongScale: "Scale: a number in −10–10",
    wrongRange: "From and to: two rising fractions in 0–1",
    needsImage: "Choose an image",
    unknown: (names: readonly string[]) =>
      `There is no ControlNet ${listed(names)} here`,
  },
  loras: {
    add: "Add a LoRA",
    name: (index: number) => `LoRA ${index}`,
    scale: (index: number) => `Strength of LoRA ${index}`,
    remove: (index: number) => `Remove LoRA ${index}`,
    wrong:
      "Strength: a number in −100–100; block weights may follow, as in 0.8:1,0,…",
    unknown: (names: readonly string[]) =>
      `There is no LoRA ${listed(names)} here`,
  },
  labels: englishLabels,
  help: englishHelp,
  run: {
    generate: "Generate",
    stop: "Stop",
    stopping: "Stopping …",
    shortcut: "Ctrl + Enter",
    fixFields: "Correct the marked fields first",
    sending: "Sending …",
    queued: (before: number) =>
      before <= 0
        ? "Next in the queue"
        : `${counted(before, "job")} before yours`,
    noWorker:
      "No worker is there to make these images; start one with deno run -A mod.ts work",
    starting: "Starting …",
    load: (network: string) => `Loading the ${network}`,
    prepare: (network: string) => `Preparing the ${network}`,
    model: "model",
    identity: "Looking at the face",
    denoise: (step: number, total: number) => `Step ${step} of ${total}`,
    decode: "Decoding the images",
    fetching: "Fetching the images …",
    show: "Watch",
    secondsLeft: (seconds: number) =>
      seconds < 90
        ? `${Math.max(1, Math.round(seconds))} s left`
        : `${Math.round(seconds / 60)} min left`,
    done: (count: number, seconds: number) =>
      `${counted(count, "image")} in ${
        seconds.toFixed(seconds < 10 ? 1 : 0)
      } s`,
    stopped: "Stopped",
    stoppedEarly: "Stopped: these are previews, not finished images",
    failed: "That did not work",
    waiting: "Waiting for a place in the queue",
    retryIn: (seconds: number) => `Trying again in ${seconds} s`,
    retry: "Try again",
    gone: "The server has forgotten this job; it may have been started anew",
    progress: "Progress",
  },
  result: {
    heading: "Images",
    empty: "A photo, a prompt, and the person is somewhere else",
    emptyPlain: "A prompt, and an image of it",
    preview: (index: number) => `Preview of image ${index}`,
    image: (index: number, prompt: string) => `Image ${index}: ${prompt}`,
    open: (index: number) => `Open image ${index} in full size`,
    download: "Download",
    downloadOf: (index: number) => `Download image ${index}`,
    compare: "Compare",
    compareOf: (index: number) => `Compare image ${index}`,
    compareWith: (index: number) => `Compare with image ${index}`,
    again: "These settings again",
    remove: "Delete",
    removeQuestion: (count: number) => `Delete ${counted(count, "image")}?`,
    references: "Processed faces",
    reference: (index: number) => `Processed face ${index}`,
    seed: (seed: string) => `Seed ${seed}`,
    truncated: (text: string) =>
      `The prompt is too long for the model, which did not read “${text}”`,
    settings: "All settings",
  },
  dialog: {
    close: "Close",
    previous: "Previous image",
    next: "Next image",
    of: (index: number, count: number) => `Image ${index} of ${count}`,
    enlarge: "Enlarge",
  },
  compare: {
    heading: "Compare",
    pickOther:
      "Now choose the other image: click it, or open other ones in the history",
    name: (index: number, time: string) => `Image ${index}, ${time}`,
    cancel: "Cancel",
    slider: "How much of each image is shown",
    left: "Left",
    right: "Right",
    setting: "Setting",
    same: "Both were made with the same settings",
  },
  history: {
    heading: "History",
    kept: "Kept in this browser, nowhere else",
    open: (prompt: string, time: string) => `${prompt}, ${time}`,
    removeAll: "Delete all",
    question: (count: number) =>
      `Delete ${counted(count, "entry", "entries")} with all images?`,
    remove: "Delete",
    keep: "Keep",
    full:
      "The browser has no room for more images: these are here until the page is closed. Download them, or delete older ones",
    unavailable:
      "This browser keeps no history in this window: new images are here until the page is closed. Download them",
    noPrompt: "(no prompt)",
  },
  examples: {
    heading: "Examples",
    intro: "One click: a drawn portrait, a prompt, and images",
    use: (prompt: string) => `Example: ${prompt}`,
  },
  /** What the library warns of, by photo. */
  warnings: {
    photo: (index: number, said: string) => `Photo ${index}: ${said}`,
    squeezed: (size: string) =>
      `its ${size} pixels are squeezed to a square; “Photos that are not square” offers other ways`,
    cropped: (size: string, seen: string) =>
      `of its ${size} pixels only the middle ${seen} are seen; “Photos that are not square” can keep all`,
    reduced: (size: string, to: string) =>
      `its ${size} pixels are reduced to ${to} to look for faces`,
    noFace: "no face found, the whole photo is used",
    several: "several faces found, the best is used",
    notAligned:
      "not aligned, for the model lacks the network for that: sh tools/setup.sh --with-landmarks",
  },
  connection: {
    lost: "The server does not answer. Trying again …",
    token:
      "This server wants its token: open the link that it printed, or give it here",
    tokenLabel: "Token",
    signIn: "Sign in",
    wrongToken: "That is not its token",
  },
  errors: {
    offline: "The server does not answer",
    unauthorized: "The server wants its token",
    queueFull: "The queue is full",
    shuttingDown: "The server is about to end",
    badImage: "This image cannot be read",
    filesGone:
      "A photo or image that these were to be made from is not kept in this browser any more",
    noFace: "No face was found, and one was required",
    tooLarge: "This is more than the server takes",
    timeout: "It took too long",
    outOfMemory:
      "The GPU has too little memory: ask for fewer or smaller images",
    worker: "The worker failed",
    internal: "The server failed; its log says more",
  },
};

/** All that the page says. */
export type Strings = typeof english;
