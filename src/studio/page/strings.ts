/**
 * Every string of the page, one object a language: English says which strings
 * there are, and another language that lacks one does not compile.
 *
 * @module
 */
import { table } from "../../options/table.ts";

/** A language of the page, as `lang` names it. */
export type Language = "en" | "zh-CN";

/** Counts things in English. */
function counted(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

/** What the table says of an option, as a sentence. */
function help(name: keyof typeof table): string {
  const { help } = table[name];
  return help.charAt(0).toUpperCase() + help.slice(1);
}

/** English, from which all languages take their strings. */
export const english = {
  title: "MasterWeaver Studio",
  header: {
    docs: "API",
    language: "Language",
    theme: "Colours",
    themes: { auto: "As the system", light: "Light", dark: "Dark" },
    skip: "Skip to the images",
    model: (name: string) => `Model ${name}`,
  },
  photos: {
    heading: "Who",
    choose: "Choose photos",
    hint: (most: number) =>
      `or drop or paste them anywhere: up to ${most} photos of one person`,
    dropHere: "Drop the photos",
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
    tooLarge: (name: string, megabytes: number) =>
      `${name} has ${megabytes} MB; a photo may have 20`,
    filled: "The form has these settings now",
    missing: (count: number) =>
      `${
        counted(count, "photo is", "photos are")
      } not kept in this browser any more: add ${
        count === 1 ? "it" : "them"
      } again`,
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
    more: "More options",
    changed: (count: number) => `${count} changed`,
    photoGroup: "How photos are looked at",
    imageGroup: "How images are computed",
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
    },
    /** What holds where nothing is chosen, in words. */
    defaults: {
      face: "the best",
      fit: "squeezed",
      cudaThreads: "enough for all",
      guidanceRange: "0, 1",
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
  },
  labels: {
    prompt: "Prompt",
    negativePrompt: "Negative prompt",
    steps: "Steps",
    numImages: "Images",
    guidanceScale: "Guidance",
    idScale: "Identity",
    seed: "Seed",
    width: "Width",
    height: "Height",
    align: "Align faces",
    parse: "Only the face",
    face: "Which face",
    requireFace: "Require a face",
    fit: "Photos that are not square",
    rng: "Noise of",
    cudaThreads: "Threads of that GPU",
    reuseFeatures: "Reuse features",
    guidanceRange: "Guidance range",
    mergeTokens: "Merge tokens",
  },
  help: {
    prompt: help("prompt"),
    negativePrompt: help("negativePrompt"),
    steps: help("steps"),
    numImages: help("numImages"),
    guidanceScale: help("guidanceScale"),
    idScale: help("idScale"),
    seed: help("seed"),
    width: help("width"),
    height: help("height"),
    align: `${
      help("align")
    }: cut out and turned upright, as models of photos want them`,
    parse: `${help("parse")}: hair and background do not count then`,
    face: help("face"),
    requireFace: `${
      help("requireFace")
    }: else the whole photo is used, and a warning says so`,
    fit: help("fit"),
    rng: `${
      help("rng")
    }: the same seed gives the same images as PyTorch would there`,
    cudaThreads: help("cudaThreads").replace(/; see .*/, ""),
    reuseFeatures: help("reuseFeatures"),
    guidanceRange: help("guidanceRange"),
    mergeTokens: help("mergeTokens"),
  },
  run: {
    generate: "Generate",
    stop: "Stop",
    stopping: "Stopping …",
    shortcut: "Ctrl + Enter",
    needsPhoto: "Add a photo first, or try an example",
    fixFields: "Correct the marked fields first",
    sending: "Sending the photos …",
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
    unavailable: "This browser keeps no history in this window",
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
    back: "The server is back",
    token:
      "This server wants its token: open the link that it printed, or give it here",
    tokenLabel: "Token",
    signIn: "Sign in",
    wrongToken: "That is not its token",
    loading: "Connecting …",
  },
  errors: {
    offline: "The server does not answer",
    unauthorized: "The server wants its token",
    queueFull: "The queue is full",
    shuttingDown: "The server is about to end",
    badImage: "This photo cannot be read",
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

/** Chinese. */
export const chinese: Strings = {
  title: "MasterWeaver 工作室",
  header: {
    docs: "API",
    language: "语言",
    theme: "配色",
    themes: { auto: "跟随系统", light: "浅色", dark: "深色" },
    skip: "跳到图像",
    model: (name) => `模型 ${name}`,
  },
  photos: {
    heading: "人物",
    choose: "选择照片",
    hint: (most) => `也可拖放或粘贴到页面任意处：同一人的照片，最多 ${most} 张`,
    dropHere: "松开即可添加照片",
    add: "添加照片",
    full: (most) => `此模型最多接受 ${most} 张照片，其余未添加`,
    alt: (index) => `照片 ${index}`,
    remove: (index) => `移除照片 ${index}`,
    moveEarlier: (index) => `将照片 ${index} 前移`,
    moveLater: (index) => `将照片 ${index} 后移`,
    looking: "正在查找人脸……",
    noFace: "未找到人脸：将使用整张照片，相似度会下降",
    oneFace: "一张人脸",
    severalFaces: (count) => `${count} 张人脸：请在照片上选一张`,
    pickFace: (index) => `照片 ${index} 中要使用的人脸`,
    face: (number, count) => `第 ${number} 张人脸，共 ${count} 张`,
    wholePhoto: "使用整张照片：此模型接受已对齐的肖像",
    noFaceWhole: "未找到人脸：相似度会下降",
    severalWhole: (count) =>
      `${count} 张人脸：此模型无法挑选，请将照片裁剪到只剩一张`,
    notPhoto: (name) => `无法将 ${name} 作为照片读取：请选择 PNG、JPEG 或 WebP`,
    tooLarge: (name, megabytes) => `${name} 有 ${megabytes} MB，上限为 20 MB`,
    filled: "表单已填入这些设置",
    missing: (count) => `此浏览器已不再保存其中 ${count} 张照片，请重新添加`,
    hasSettings: "此图像带有生成时的设置",
    useSettings: "再次使用这些设置",
    dismiss: "关闭",
    tryAgain: "重试",
    faces: "编码器所见",
    encoding: "编码器正在查看……",
    encodingLater: "待图像完成后",
    encoderFace: (index) => `编码器看到的照片 ${index}`,
  },
  form: {
    heading: "内容",
    settings: "参数",
    promptExample: "a photo of a woman with curly hair",
    random: "随机",
    size: "尺寸",
    sizeHint: (multiple, own) =>
      `须为 ${multiple} 的倍数；此模型以 ${own} 训练`,
    more: "更多选项",
    changed: (count) => `已更改 ${count} 项`,
    photoGroup: "如何处理照片",
    imageGroup: "如何计算图像",
    reset: "恢复默认值",
    default: "默认",
    choices: {
      true: "是",
      false: "否",
      crop: "裁剪到中间",
      pad: "补黑边",
      best: "最佳",
      largest: "最大",
      "torch-cuda": "PyTorch，GPU",
      "torch-cpu": "PyTorch，CPU",
    },
    defaults: {
      face: "最佳",
      fit: "压成正方形",
      cudaThreads: "足够全部使用",
      guidanceRange: "0, 1",
    },
    wrongNumber: (least, most) => `须为 ${least}–${most} 之间的数`,
    wrongWhole: (least, most) => `须为 ${least}–${most} 之间的整数`,
    wrongMultiple: (multiple) => `须为 ${multiple} 的倍数`,
    wrongPrompt: (most, count) => `最多 ${most} 个字符，现有 ${count} 个`,
    wrongAlign:
      "此模型没有关键点网络，无法对齐：请在服务器上运行 sh tools/setup.sh --with-landmarks",
    wrongSeed: "须为 −2⁶³ 到 2⁶⁴ − 1 之间的整数",
    wrongFace: "best、largest，或从 0 起的序号",
    wrongRange: "0–1 之间两个递增的小数",
  },
  labels: {
    prompt: "提示词（英文）",
    negativePrompt: "反向提示词（英文）",
    steps: "步数",
    numImages: "图像数量",
    guidanceScale: "引导强度",
    idScale: "身份强度",
    seed: "种子",
    width: "宽",
    height: "高",
    align: "对齐人脸",
    parse: "仅保留人脸",
    face: "选用哪张人脸",
    requireFace: "必须有人脸",
    fit: "非正方形的照片",
    rng: "噪声来源",
    cudaThreads: "该 GPU 的线程数",
    reuseFeatures: "复用特征",
    guidanceRange: "引导范围",
    mergeTokens: "合并 token",
  },
  help: {
    prompt: "图像的内容；模型只懂英文",
    negativePrompt: "图像中不应出现的内容",
    steps: "去噪步数",
    numImages: "一次生成的图像数量",
    guidanceScale: "遵循提示词的程度",
    idScale: "遵循身份的程度",
    seed: "噪声的种子",
    width: "单位为像素，须为模型倍数的整数倍",
    height: "单位为像素，规则与宽相同",
    align: "是否先对齐人脸：裁出并转正，面向普通照片的模型需要这样",
    parse: "是否将人脸以外的部分涂黑：头发与背景便不起作用",
    face:
      "照片中有多张人脸时：第 N 张（从 0 起，最佳在前）、得分最高的或最大的；可用 0,best 这样的列表为每张照片各选一次",
    requireFace: "未找到人脸时是否报错：否则使用整张照片，并给出警告",
    fit: "将非正方形的照片裁剪到中间，或用黑边补齐",
    rng: "种子复现谁的噪声：同一种子得到与该处 PyTorch 相同的图像",
    cudaThreads:
      "torch-cuda 所复现的 GPU 的线程数：数量超过线程数的噪声因 GPU 而异",
    reuseFeatures:
      "更快，但会改变图像：每 N 步才完整运行一次 UNet，其余步只运行外层",
    guidanceRange:
      "更快，但会改变图像：仅在这一段步数内使用引导；无引导的步只需一半时间",
    mergeTokens: "更快，但会改变图像：自注意力中合并相似 token 的比例",
  },
  run: {
    generate: "生成",
    stop: "停止",
    stopping: "正在停止……",
    shortcut: "Ctrl + Enter",
    needsPhoto: "请先添加照片，或试试示例",
    fixFields: "请先更正标出的字段",
    sending: "正在发送照片……",
    queued: (before) =>
      before <= 0 ? "下一个就是您" : `前面还有 ${before} 个任务`,
    noWorker: "没有可用的工作进程；请运行 deno run -A mod.ts work 启动一个",
    starting: "正在开始……",
    load: (network) => `正在加载 ${network}`,
    prepare: (network) => `正在准备 ${network}`,
    model: "模型",
    identity: "正在查看人脸",
    denoise: (step, total) => `第 ${step} 步，共 ${total} 步`,
    decode: "正在解码图像",
    fetching: "正在取回图像……",
    show: "查看进展",
    secondsLeft: (seconds) =>
      seconds < 90
        ? `还需 ${Math.max(1, Math.round(seconds))} 秒`
        : `还需 ${Math.round(seconds / 60)} 分钟`,
    done: (count, seconds) =>
      `${count} 张图像，用时 ${seconds.toFixed(seconds < 10 ? 1 : 0)} 秒`,
    stopped: "已停止",
    stoppedEarly: "已停止：这些只是预览，并非完成的图像",
    failed: "未能完成",
    waiting: "正在等待队列空位",
    retryIn: (seconds) => `${seconds} 秒后重试`,
    retry: "重试",
    gone: "服务器已不记得此任务，可能重新启动过",
    progress: "进度",
  },
  result: {
    heading: "图像",
    empty: "一张照片，一句提示词，人物便身在别处",
    preview: (index) => `图像 ${index} 的预览`,
    image: (index, prompt) => `图像 ${index}：${prompt}`,
    open: (index) => `以完整尺寸打开图像 ${index}`,
    download: "下载",
    downloadOf: (index) => `下载图像 ${index}`,
    compare: "比较",
    compareOf: (index) => `比较图像 ${index}`,
    compareWith: (index) => `与图像 ${index} 比较`,
    again: "再次使用这些设置",
    remove: "删除",
    removeQuestion: (count) => `删除 ${count} 张图像？`,
    references: "处理后的人脸",
    reference: (index) => `处理后的人脸 ${index}`,
    seed: (seed) => `种子 ${seed}`,
    truncated: (text) => `提示词过长，模型未读取“${text}”`,
    settings: "全部设置",
  },
  dialog: {
    close: "关闭",
    previous: "上一张",
    next: "下一张",
    of: (index, count) => `第 ${index} 张，共 ${count} 张`,
    enlarge: "放大",
  },
  compare: {
    heading: "比较",
    pickOther: "请点击另一张图像，或先在历史记录中打开其他图像",
    name: (index, time) => `图像 ${index}，${time}`,
    cancel: "取消",
    slider: "两张图像各显示多少",
    left: "左",
    right: "右",
    setting: "设置",
    same: "两张图像的设置相同",
  },
  history: {
    heading: "历史记录",
    kept: "仅保存在此浏览器中",
    open: (prompt, time) => `${prompt}，${time}`,
    removeAll: "全部删除",
    question: (count) => `删除 ${count} 条记录及其全部图像？`,
    remove: "删除",
    keep: "保留",
    full: "浏览器空间不足：这些图像在关闭页面后消失。请下载，或删除较早的记录",
    unavailable: "此窗口中浏览器不保存历史记录",
    noPrompt: "（无提示词）",
  },
  examples: {
    heading: "示例",
    intro: "一次点击：手绘肖像、提示词与图像",
    use: (prompt) => `示例：${prompt}`,
  },
  warnings: {
    photo: (index, said) => `照片 ${index}：${said}`,
    squeezed: (size) =>
      `${size} 像素被压成正方形；“非正方形的照片”一项可另作选择`,
    cropped: (size, seen) =>
      `${size} 像素中只使用中间的 ${seen}；“非正方形的照片”一项可保留全部`,
    reduced: (size, to) => `查找人脸时由 ${size} 像素缩小为 ${to}`,
    noFace: "未找到人脸，使用整张照片",
    several: "找到多张人脸，使用最佳的一张",
    notAligned:
      "未对齐，模型缺少所需的网络：sh tools/setup.sh --with-landmarks",
  },
  connection: {
    lost: "服务器无响应，正在重试……",
    back: "服务器已恢复",
    token: "此服务器需要令牌：请打开它所打印的链接，或在此输入",
    tokenLabel: "令牌",
    signIn: "登录",
    wrongToken: "令牌不正确",
    loading: "正在连接……",
  },
  errors: {
    offline: "服务器无响应",
    unauthorized: "服务器需要令牌",
    queueFull: "队列已满",
    shuttingDown: "服务器即将关闭",
    badImage: "无法读取此照片",
    noFace: "未找到人脸，而设置要求必须有",
    tooLarge: "超出服务器所能接受的大小",
    timeout: "耗时过长",
    outOfMemory: "GPU 内存不足：请减少图像数量或尺寸",
    worker: "工作进程出错",
    internal: "服务器出错，详情见其日志",
  },
};

/** The strings of each language. */
export const strings: Readonly<Record<Language, Strings>> = {
  "en": english,
  "zh-CN": chinese,
};
