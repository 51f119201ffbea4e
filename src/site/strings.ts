/**
 * What this page says and the studio's does not: each language as one object,
 * and the studio's own strings where they speak of a server.
 *
 * @module
 */
import {
  type Advice,
  type Browser,
  browserAdvice,
  OLDEST,
  OLDEST_TEXT,
} from "../gpu/browsers.ts";
import { computed } from "../studio/page/preact.tsx";
import type { ReadonlyCell } from "../studio/page/state/cell.ts";
import { language } from "../studio/page/state/preferences.ts";
import {
  type Language,
  type Strings,
  strings,
} from "../studio/page/strings.ts";

/** English, from which all languages take their strings. */
export const english = {
  local:
    "Everything is computed in this page: your photos and images do not leave it",
  model: {
    heading: (name: string) => `Model ${name}`,
    fetching: (name: string, done: string, total: string) =>
      `Fetching the model ${name}, once: ${done} of ${total}`,
    checking: (name: string) => `Checking the model ${name} …`,
    opening: (name: string) => `Opening the model ${name} …`,
    progress: "How much of the model is here",
    failed: (name: string) => `The model ${name} cannot be used`,
    tryAgain: "Try again",
    fetchAgain: "Fetch it anew",
    kept: (size: string) => `${size}, kept in this browser for the next visit`,
    read: (size: string) => `${size}, read from the folder that you picked`,
    pick: "Use a model’s folder",
    pickHint:
      "A folder that tools/convert.ts wrote, such as Stable Diffusion 1.5; it is read in place, never uploaded, and picked again at the next visit",
    back: "Back to the model of this site",
    landmarks: "Align faces: pick landmarks.weave",
    landmarksThere: "Faces can be aligned: landmarks.weave was picked",
    landmarksHint:
      "dlib’s 68 landmarks, trained on iBUG 300-W, whose licence excludes commercial use; that is why they do not come with this page. To make the file: sh tools/setup.sh --with-landmarks",
    notLandmarks: (name: string) => `${name} is no landmarks.weave`,
  },
  gpu: {
    missing: "Images cannot be made in this browser as it is",
    missingAbove:
      "Images cannot be made in this browser as it is; the top of the page says why",
    softwareAbove:
      "There is no GPU here: say at the top of the page first that its slow substitute is to be used",
    insecure:
      "The page was opened without https, and browsers give WebGPU to no other: open it by https, or from localhost",
    tooOld:
      `This browser is too old for this page: use ${OLDEST_TEXT} or a later one`,
    noWebGpu: advised("This browser shows no WebGPU", "withoutApi"),
    noAdapter: advised(
      "The browser finds no GPU for WebGPU",
      "withoutAdapter",
    ),
    software:
      "The browser offers no GPU here, only a slow substitute that computes on the CPU: an image takes minutes, so begin with one image and few steps; an example makes as many as the form says",
    softwareAdvice: {
      chrome:
        "Switch on graphics acceleration in Settings, System, and update the graphics driver; chrome://gpu says more",
      firefox:
        "Update the graphics driver; about:support says under Graphics what is blocked",
      safari: "Update the system",
      other: "Update the graphics driver",
    },
    anyway: "Use it anyway",
  },
  endedWithPage:
    "The page was reloaded or closed while it made these images, and they ended with it: generate them again",
  bug: "This is a bug of this page",
};

/** All that this page says besides. */
export type SiteStrings = typeof english;

const chinese: SiteStrings = {
  local: "一切都在此页面中计算：您的照片和图像不会离开它",
  model: {
    heading: (name) => `模型 ${name}`,
    fetching: (name, done, total) =>
      `正在获取模型 ${name}（仅一次）：${done} / ${total}`,
    checking: (name) => `正在校验模型 ${name}……`,
    opening: (name) => `正在打开模型 ${name}……`,
    progress: "模型已获取的部分",
    failed: (name) => `无法使用模型 ${name}`,
    tryAgain: "重试",
    fetchAgain: "重新获取",
    kept: (size) => `${size}，保存在此浏览器中，下次无需再取`,
    read: (size) => `${size}，从您选择的文件夹读取`,
    pick: "使用模型文件夹",
    pickHint:
      "由 tools/convert.ts 生成的文件夹，例如 Stable Diffusion 1.5；就地读取，绝不上传，下次访问时需重新选择",
    back: "改回本站的模型",
    landmarks: "对齐人脸：选择 landmarks.weave",
    landmarksThere: "可以对齐人脸：已选择 landmarks.weave",
    landmarksHint:
      "dlib 的 68 个关键点，以 iBUG 300-W 训练，其许可不允许商业用途，因此不随此页面提供。生成该文件：sh tools/setup.sh --with-landmarks",
    notLandmarks: (name) => `${name} 不是 landmarks.weave`,
  },
  gpu: {
    missing: "此浏览器目前无法生成图像",
    missingAbove: "此浏览器目前无法生成图像；页面顶部说明了原因",
    softwareAbove: "此处没有 GPU：请先在页面顶部同意使用较慢的替代品",
    insecure:
      "页面未通过 https 打开，而浏览器仅在 https 下提供 WebGPU：请用 https 打开，或从 localhost 打开",
    tooOld:
      `此浏览器对本页面来说过旧：请使用 Chrome 或 Edge ${OLDEST.chrome}、Firefox ${OLDEST.firefox}、Safari ${OLDEST.safari} 或更高版本`,
    noWebGpu: {
      chrome:
        `此浏览器没有 WebGPU。请将 Chrome 或 Edge 更新到 ${OLDEST.chrome} 或更高版本；在 Linux 上还需打开 chrome://flags/#enable-unsafe-webgpu 并重新启动浏览器`,
      firefox:
        `此浏览器没有 WebGPU。请在 Windows 或 Apple 芯片的 Mac 上使用 Firefox ${OLDEST.firefox} 或更高版本；其他系统请在 about:config 中将 dom.webgpu.enabled 设为 true，或使用 Chrome`,
      safari:
        `此浏览器没有 WebGPU。请在 macOS、iOS 或 iPadOS ${OLDEST.safari} 或更高版本上使用 Safari ${OLDEST.safari} 或更高版本`,
      other:
        `此浏览器没有 WebGPU：请使用 Chrome 或 Edge ${OLDEST.chrome}、Firefox ${OLDEST.firefox}、Safari ${OLDEST.safari} 或更高版本`,
    },
    noAdapter: {
      chrome:
        "浏览器没有找到可用于 WebGPU 的 GPU。请在“设置”“系统”中打开图形加速，并更新显卡驱动；详情见 chrome://gpu。在 Linux 上请打开 chrome://flags/#enable-unsafe-webgpu 和 #enable-vulkan",
      firefox:
        "浏览器没有找到可用于 WebGPU 的 GPU。请更新显卡驱动；about:support 的“图形”一节列出被禁用的功能",
      safari:
        "浏览器没有找到可用于 WebGPU 的 GPU：请更新系统，并为此页面关闭锁定模式",
      other:
        "浏览器没有找到可用于 WebGPU 的 GPU：请更新显卡驱动，或使用较新的 Chrome",
    },
    software:
      "浏览器在此没有提供 GPU，只有在 CPU 上运算的替代品，速度很慢：一张图像需要数分钟，请先只生成一张、少用几步；示例也按表单中的数量生成",
    softwareAdvice: {
      chrome:
        "请在“设置”“系统”中打开图形加速，并更新显卡驱动；详情见 chrome://gpu",
      firefox: "请更新显卡驱动；about:support 的“图形”一节列出被禁用的功能",
      safari: "请更新系统",
      other: "请更新显卡驱动",
    },
    anyway: "仍然使用",
  },
  endedWithPage:
    "页面在生成这些图像时被重新加载或关闭，任务随之结束：请重新生成",
  bug: "这是此页面的错误",
};

const words: Readonly<Record<Language, SiteStrings>> = {
  "en": english,
  "zh-CN": chinese,
};

/** What this page says besides, in its language. */
export const siteText: ReadonlyCell<SiteStrings> = computed(() =>
  words[language.value]
);

/** The studio's strings, without its server. */
export const withoutServer: Readonly<Record<Language, Strings>> = {
  "en": adapted(strings.en, {
    sending: "Waiting for the model …",
    fetching: "Keeping the images …",
    tooLarge: "This is more than the page takes",
    wrongAlign:
      "This model has no landmarks, so it cannot align: open the line at the top of the page, and pick landmarks.weave there",
    notAligned:
      "not aligned, for the model lacks the network for that: open the line at the top of the page, and pick landmarks.weave there",
  }),
  "zh-CN": adapted(strings["zh-CN"], {
    sending: "正在等待模型……",
    fetching: "正在保存图像……",
    tooLarge: "超出此页面所能接受的大小",
    wrongAlign:
      "此模型没有关键点网络，无法对齐：请展开页面顶部的一行，在那里选择 landmarks.weave",
    notAligned:
      "未对齐，模型缺少所需的网络：请展开页面顶部的一行，在那里选择 landmarks.weave",
  }),
};

/** What to do in each browser, after what is wrong in it. */
function advised(
  wrong: string,
  kind: keyof Advice,
): Readonly<Record<Browser, string>> {
  const { chrome, firefox, safari, other } = browserAdvice;
  return {
    chrome: `${wrong}: ${chrome[kind]}`,
    firefox: `${wrong}: ${firefox[kind]}`,
    safari: `${wrong}: ${safari[kind]}`,
    other: `${wrong}: ${other[kind]}`,
  };
}

function adapted(
  own: Strings,
  { sending, fetching, tooLarge, wrongAlign, notAligned }: {
    sending: string;
    fetching: string;
    tooLarge: string;
    wrongAlign: string;
    notAligned: string;
  },
): Strings {
  return {
    ...own,
    run: { ...own.run, sending, fetching },
    errors: { ...own.errors, tooLarge },
    form: { ...own.form, wrongAlign },
    warnings: { ...own.warnings, notAligned },
  };
}
