// Where a convolution's window lies in its image.
//
// Prepended to the conv2d shaders, whose uniform `p` has height, width, out_height,
// out_width, stride, pad_top, pad_left, upsample, full_height, full_width, pixels,
// first_pixel and first_source.

// For an output pixel: where its window starts in the upsampled image, and the index
// in x of its image's first pixel.
struct Pixel {
  top: i32,
  left: i32,
  base: u32,
}

fn pixel(index: u32) -> Pixel {
  let i = p.first_pixel + min(index, p.pixels - 1u);
  let line = divide(i, p.out_width);
  let ox = i - line * p.out_width;
  let b = divide(line, p.out_height);
  let oy = line - b * p.out_height;
  return Pixel(
    i32(oy * p.stride) - i32(p.pad_top),
    i32(ox * p.stride) - i32(p.pad_left),
    b * p.height * p.width - p.first_source,
  );
}

// The pixel of x at a position of the window, or −1 outside the image.
fn source(at: Pixel, ky: u32, kx: u32) -> i32 {
  let iy = at.top + i32(ky);
  let ix = at.left + i32(kx);
  if iy < 0 || ix < 0 || iy >= i32(p.full_height) || ix >= i32(p.full_width) {
    return -1;
  }
  // Divides by 1 or 2 with a shift, as a CPU divides integers lane by lane.
  let row = u32(iy) >> (p.upsample - 1u);
  let column = u32(ix) >> (p.upsample - 1u);
  return i32(at.base + row * p.width + column);
}
