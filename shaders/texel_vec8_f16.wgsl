// A vec8 of the texture `t`, stored as f16, a texel each. In front of it stand
// texels.wgsl and vec8_f16.wgsl.

fn load_octet(at: u32) -> values {
  return unpack(textureLoad(t, texel_place(at)));
}
