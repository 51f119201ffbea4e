// y[m, n] = act(Σ_k x[m, k] · w[n, k] + bias[n] + residual[m, n])
//
// x (M, K), w (N, K) as torch.nn.Linear stores it, bias (N), residual and y
// (M, N); K a multiple of 4. Accumulates in f32.
// = torch.nn.functional.linear, plus residual, then activation.
// Prepended: one of weights_*.wgsl, which binds and reads w.
//
// Each invocation keeps a 4 × 4 tile of y in registers and reads both operands
// along K as vec4; neighbouring invocations take neighbouring rows, so that
// they share the same rows of w. It uses no workgroup memory, which would not speed
// up a software adapter.
// Grid: ⌈M/4⌉ · ⌈N/4⌉ invocations in groups of 32, rows fastest.
// Optional operands are flags of the uniform, not overrides: a branch costs nothing
// here, while each further pipeline costs up to a second of the driver's time.

struct Params {
  m: u32,
  n: u32,
  k4: u32, // K / 4
  weight4: u32, // N · K / 4
  tiles_m: u32,
  tiles: u32, // ⌈M/4⌉ · ⌈N/4⌉
  has_bias: u32,
  has_residual: u32,
  activation: u32,
}

@group(0) @binding(0) var<storage, read> x: array<real4>;
@group(0) @binding(2) var<storage, read> bias: array<real>;
@group(0) @binding(3) var<storage, read> residual: array<real>;
@group(0) @binding(4) var<storage, read_write> y: array<real>;
@group(0) @binding(5) var<uniform> p: Params;

fn store(row: u32, n: u32, sum: f32) {
  var v = sum;
  if p.has_bias != 0u { v += f32(bias[n]); }
  if p.has_residual != 0u { v += f32(residual[row * p.n + n]); }
  y[row * p.n + n] = real(activate(p.activation, v));
}

@compute @workgroup_size(32)
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(num_workgroups) groups: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let tile = group_index(group, groups) * 32u + lane;
  if tile >= p.tiles { return; }
  let row = (tile % p.tiles_m) * 4u;
  let column = (tile / p.tiles_m) * 4u;

  // A tile at the edge reads the last row several times and stores it once.
  let x0 = row * p.k4;
  let x1 = min(row + 1u, p.m - 1u) * p.k4;
  let x2 = min(row + 2u, p.m - 1u) * p.k4;
  let x3 = min(row + 3u, p.m - 1u) * p.k4;
  let w0 = column * p.k4;
  let w1 = min(column + 1u, p.n - 1u) * p.k4;
  let w2 = min(column + 2u, p.n - 1u) * p.k4;
  let w3 = min(column + 3u, p.n - 1u) * p.k4;

  var acc0 = vec4<f32>();
  var acc1 = vec4<f32>();
  var acc2 = vec4<f32>();
  var acc3 = vec4<f32>();
  for (var start = 0u; start < p.k4;) {
    let end = start + min(SCALED4, p.k4 - start);
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var k = start; k < end; k++) {
      let a0 = vec4<f32>(x[x0 + k]);
      let a1 = vec4<f32>(x[x1 + k]);
      let a2 = vec4<f32>(x[x2 + k]);
      let a3 = vec4<f32>(x[x3 + k]);
      let b0 = weight4(w0 + k);
      let b1 = weight4(w1 + k);
      let b2 = weight4(w2 + k);
      let b3 = weight4(w3 + k);
      sum0 += vec4<f32>(dot(a0, b0), dot(a0, b1), dot(a0, b2), dot(a0, b3));
      sum1 += vec4<f32>(dot(a1, b0), dot(a1, b1), dot(a1, b2), dot(a1, b3));
      sum2 += vec4<f32>(dot(a2, b0), dot(a2, b1), dot(a2, b2), dot(a2, b3));
      sum3 += vec4<f32>(dot(a3, b0), dot(a3, b1), dot(a3, b2), dot(a3, b3));
    }
    let scale = vec4<f32>(
      weight_scale(w0 + start),
      weight_scale(w1 + start),
      weight_scale(w2 + start),
      weight_scale(w3 + start),
    );
    acc0 += scale * sum0;
    acc1 += scale * sum1;
    acc2 += scale * sum2;
    acc3 += scale * sum3;
    start = end;
  }
  // Loops, as drivers take long to compile this body sixteen times.
  let acc = mat4x4<f32>(acc0, acc1, acc2, acc3);
  let rows = min(row + 4u, p.m) - row;
  let columns = min(column + 4u, p.n) - column;
  for (var i = 0u; i < rows; i++) {
    for (var j = 0u; j < columns; j++) { store(row + i, column + j, acc[i][j]); }
  }
}
