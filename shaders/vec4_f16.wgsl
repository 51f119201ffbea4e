// A vec4 of f16 as one load: packed in two words, for the reason vec8_f16.wgsl gives.

alias packed4 = vec2<u32>;

fn unpack4(q: packed4) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(q.x), unpack2x16float(q.y));
}

// Rounded before packing, as pack2x16float need not round to nearest.
fn pack4(v: vec4<f32>) -> packed4 {
  let rounded = vec4<f32>(vec4<f16>(v));
  return packed4(pack2x16float(rounded.xy), pack2x16float(rounded.zw));
}
