// The scratch texture that ops share: texel t lies in column t mod 4096, row
// t / 4096; see src/gpu/texels.ts.

fn texel_place(t: u32) -> vec2<u32> {
  return vec2<u32>(t & 4095u, t >> 12u);
}

// Pixels lie in groups of 32, vec4 by vec4: (⌈pixels/32⌉, vec4s, 32), so that
// eight lanes read one range of memory, and a workgroup one that goes on.
// The texel of a pixel's first vec4; the next is 32 texels on.
fn pixel_texel(pixel: u32, vec4s: u32) -> u32 {
  return pixel / 32u * vec4s * 32u + pixel % 32u;
}
