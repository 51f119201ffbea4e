/** @jsxRuntime automatic */
/** @jsxImportSource npm:preact@11.2.0 */
/**
 * The image with the mask over it, to paint on.
 *
 * @module
 */
import { useRef, useSignal } from "../preact.tsx";
import type { Size } from "../state/fitting_size.ts";
import type { SlotImage } from "../state/image_slot.ts";
import type { Brush, MaskDrawing, Point } from "../state/mask_drawing.ts";
import { text } from "../state/preferences.ts";

/** The image, the canvas over it, and the brush's outline. */
export function MaskCanvas({ image, size, canvas, drawing, brush }: {
  image: SlotImage;
  size: Size;
  canvas: { current: HTMLCanvasElement | null };
  /** Null before it can be painted on. */
  drawing: MaskDrawing | null;
  brush: Brush;
}) {
  const isPainting = useRef(false);
  const outline = useSignal<Point | null>(null);
  const place = (event: PointerEvent): Point => {
    const { left, top, width, height } = canvas.current!
      .getBoundingClientRect();
    return [
      (event.clientX - left) / width * size.width,
      (event.clientY - top) / height * size.height,
    ];
  };
  const end = () => isPainting.current = false;
  return (
    <div
      class="mask-stage"
      style={{
        aspectRatio: `${size.width} / ${size.height}`,
        "--ratio": size.width / size.height,
      }}
    >
      <img src={image.url} alt="" />
      <canvas
        ref={canvas}
        width={size.width}
        height={size.height}
        role="img"
        aria-label={text.value.mask.canvas}
        onPointerDown={(event) => {
          if (!drawing || !event.isPrimary || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          isPainting.current = true;
          drawing.begin(brush, place(event));
        }}
        onPointerMove={(event) => {
          if (!event.isPrimary) return;
          outline.value = place(event);
          if (!isPainting.current) return;
          const moves = event.getCoalescedEvents?.() ?? [];
          for (const move of moves.length > 0 ? moves : [event]) {
            drawing?.extend(place(move));
          }
        }}
        onPointerUp={end}
        onPointerCancel={end}
        onPointerLeave={() => outline.value = null}
      />
      {outline.value && (
        <span
          class="brush"
          style={{
            left: `${100 * outline.value[0] / size.width}%`,
            top: `${100 * outline.value[1] / size.height}%`,
            width: `${100 * brush.diameter / size.width}%`,
          }}
        />
      )}
    </div>
  );
}
