// Four values in a row as one load: f32.

alias quad = vec4<f32>;

fn unpack4(q: quad) -> vec4<f32> {
  return q;
}

fn pack4(v: vec4<f32>) -> quad {
  return v;
}
