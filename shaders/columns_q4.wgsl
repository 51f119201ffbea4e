// How conv2d_texels reads its weight, stored as q4: a texel is eight nibbles of
// each of four columns; the lower halves of the bytes are one vec4, the upper halves
// the next. Prepended: columns_scales.wgsl.

const PAIR_TEXELS = 4u; // texels with two vec4s of each of 16 columns

fn nibbles(word: u32, scale: f32) -> vec4<f32> {
  return scale * (vec4<f32>(unpack4xU8(word & 0x0f0f0f0fu)) - 8.0);
}

// Vec4 `k4` of columns 8j … 8j + 7 of the block that starts at texel `block`.
fn columns(block: u32, k4: u32, j: u32, s: scales) -> Columns8 {
  let place = weight_place(block + k4 / 2u * PAIR_TEXELS) +
    vec2<u32>(2u * j, 0u);
  let half = vec4<u32>(k4 % 2u * 4u);
  let a = textureLoad(w, place) >> half;
  let b = textureLoad(w, place + vec2<u32>(1u, 0u)) >> half;
  let first = s[2u * j];
  let second = s[2u * j + 1u];
  return Columns8(
    nibbles(a.x, first.x),
    nibbles(a.y, first.y),
    nibbles(a.z, first.z),
    nibbles(a.w, first.w),
    nibbles(b.x, second.x),
    nibbles(b.y, second.y),
    nibbles(b.z, second.z),
    nibbles(b.w, second.w),
  );
}
