// Loads vec8s from the texture `t`, stored as f16, one texel each. Prepended:
// texels.wgsl and vec8_f16.wgsl.

fn load_vec8(at: u32) -> values {
  return unpack(textureLoad(t, texel_place(at)));
}
