// Addresses texels of scratch textures: texel t lies in column t mod 4096, row
// t / 4096; see src/gpu/texels.ts.

fn texel_place(t: u32) -> vec2<u32> {
  return vec2<u32>(t & 4095u, t >> 12u);
}

// The texel of a pixel's first vec4; each next one is 32 texels further. Pixels lie
// in groups of 32, as (⌈pixels/32⌉, vec4s, 32), so that eight neighbouring lanes read
// eight neighbouring texels.
fn pixel_texel(pixel: u32, vec4s: u32) -> u32 {
  return pixel / 32u * vec4s * 32u + pixel % 32u;
}
