// What dense AdamW does to COLUMNS elements of a row that has no gradient in steps s + 1 … t, from their values, moments and
// average after step s: m = β₁m, v = β₂v, x −= lr · rate · (m / c₁) / (√(v / c₂) + ε) + lr · λ · x, average as in average.wgsl.
// The first `moves` steps are made one by one; what is left of m moves nothing after them, so that decay and average follow
// in closed form (with an average, λ = 0). Several elements at once share what is loaded of a step.
// The kernel has: alias Element; const COLUMNS; p with moves, beta1, root2 = √β₂, log1 = ln β₁, log2 = ln β₂, eps, decay,
// average_on, log_average, steady; history [ROW_RING], of step j at j mod ROW_RING: lr · rate / c₁, 1 / √c₂, lr · λ or with an
// average its share k_j of the old average, Σ ln(1 − lr · λ) since the last multiple of ROW_RING.
const ROW_RING = 16384u;
alias Elements = array<Element, COLUMNS>;
struct Idle { x: Elements, m: Elements, v: Elements, average: Elements }

// ∏ over steps j in (a, b] of min(d, (1 + j) / (10 + j)), which is d from the step `steady` on.
fn kept_average(a: u32, b: u32) -> f32 {
  var kept = 1.0;
  let rising = max(a, min(b, p.steady - 1u));
  for (var i = 2u; i <= 10u && rising > a; i++) { kept *= f32(a + i) / f32(rising + i); }
  if (b > rising) { kept *= exp(p.log_average * f32(b - rising)); }
  return kept;
}

fn idle(row: ptr<function, Idle>, s: u32, t: u32) {
  var moving = false;
  var root: Elements;
  let left2 = exp(p.log2 * f32(t - s));
  for (var u = 0u; u < COLUMNS; u++) {
    // NaN is neither: it moves what it is a moment of, too.
    moving = moving || !all((*row).m[u] == Element(0.0)) || !all((*row).v[u] >= Element(0.0));
    root[u] = sqrt((*row).v[u]);
    (*row).v[u] *= left2;
  }
  var end = s;
  if (moving) { end = min(t, s + p.moves); }
  for (var j = s + 1u; j <= end; j++) {
    let h = history[j % ROW_RING];
    for (var u = 0u; u < COLUMNS; u++) {
      (*row).m[u] *= p.beta1;
      root[u] *= p.root2;
      var x = (*row).x[u];
      let step = h.x * (*row).m[u] / (root[u] * h.y + p.eps);
      if (p.average_on == 1u) {
        x -= step;
        (*row).average[u] = x + h.z * ((*row).average[u] - x);
      } else {
        x -= step + h.z * x;
      }
      (*row).x[u] = x;
    }
  }
  if (end == t) { return; }
  let left1 = exp(p.log1 * f32(t - end));
  var decayed = 1.0;
  if (p.decay > 0.0) {
    var before = 0.0;
    if (end % ROW_RING != 0u) { before = history[end % ROW_RING].w; }
    decayed = exp(history[t % ROW_RING].w - before);
  }
  let kept = kept_average(end, t);
  for (var u = 0u; u < COLUMNS; u++) {
    (*row).m[u] *= left1;
    let x = (*row).x[u] * decayed;
    (*row).x[u] = x;
    (*row).average[u] = x + kept * ((*row).average[u] - x);
  }
}
