/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * Paints a mask over the initial image, with mouse, pen or finger.
 *
 * @module
 */
import { useEffect, useId, useRef, useSignal } from "../preact.tsx";
import type { SlotImage } from "../state/image_slot.ts";
import { MaskDrawing, maskSize } from "../state/mask_drawing.ts";
import { text } from "../state/preferences.ts";
import { Dialog } from "./dialog.tsx";
import { MaskCanvas } from "./mask_canvas.tsx";

/** The brush at first, in hundredths of the longer side. */
const BRUSH = 10;

/** A dialog to paint in; however it is closed, what was painted is kept. */
export function MaskEditor({ image, mask, onDone, onClose }: {
  image: SlotImage;
  /** What is there already. */
  mask: SlotImage | null;
  /** Takes the mask, where it was changed; null where nothing is white in it. */
  onDone: (file: Blob | null) => void;
  onClose: () => void;
}) {
  const words = text.value.mask;
  const id = useId();
  const size = maskSize(image);
  const canvas = useRef<HTMLCanvasElement>(null);
  const drawing = useSignal<MaskDrawing | null>(null);
  const brush = useSignal(BRUSH);
  const erases = useSignal(false);
  useEffect(() => {
    const made = new MaskDrawing(canvas.current!);
    if (mask) made.load(mask.file);
    drawing.value = made;
  }, []);
  const isChanged = (drawing.value?.count.value ?? 0) > 0;
  const close = async () => {
    if (drawing.value && isChanged) onDone(await drawing.value.toFile());
    onClose();
  };
  const tool = (isErasing: boolean, label: string) => (
    <button
      type="button"
      aria-pressed={erases.value === isErasing}
      onClick={() => erases.value = isErasing}
    >
      {label}
    </button>
  );
  return (
    <Dialog
      label={words.heading}
      className="mask-editor"
      onClose={close}
      onKeyDown={(event) => {
        const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
        if (isUndo && isChanged) drawing.value?.undo();
      }}
    >
      <h2>{words.heading}</h2>
      <p class="hint">{words.hint}</p>
      <MaskCanvas
        image={image}
        size={size}
        canvas={canvas}
        drawing={drawing.value}
        brush={{
          diameter: Math.max(
            1,
            brush.value / 100 * Math.max(size.width, size.height),
          ),
          erases: erases.value,
        }}
      />
      <div class="mask-tools">
        <div class="segmented" role="group" aria-label={words.heading}>
          {tool(false, words.paint)}
          {tool(true, words.erase)}
        </div>
        <label for={id}>{words.brush}</label>
        <input
          id={id}
          type="range"
          min={1}
          max={40}
          value={brush.value}
          style={{ "--share": (brush.value - 1) / 39 }}
          onInput={({ currentTarget }) =>
            brush.value = Number(currentTarget.value)}
        />
        <button
          type="button"
          disabled={!isChanged}
          onClick={() => drawing.value?.undo()}
        >
          {words.undo}
        </button>
        <button type="button" onClick={() => drawing.value?.clear()}>
          {words.clear}
        </button>
        <button type="button" class="primary" onClick={close}>
          {words.done}
        </button>
      </div>
    </Dialog>
  );
}
