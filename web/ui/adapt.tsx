/** Adapting to the history on this device, and undoing it. */
import { useState } from 'preact/hooks';
import { adapt, forget } from '../actions.ts';
import { messageOf } from '../engine.ts';
import { plural } from '../format.ts';
import { askState } from '../state.ts';
import { useStore } from '../store.ts';
import { Notice } from './components.tsx';

export function Adapt() {
  const history = useStore(askState, (state) => state.history);
  const adapted = useStore(askState, (state) => state.adapted);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    setError(null);
    await work().catch((reason) => setError(messageOf(reason)));
    setBusy(false);
  };
  return (
    <section class="card stack" aria-labelledby="adapt-title">
      <h2 id="adapt-title">For this visitor</h2>
      <p class="muted">
        Adapting learns one small vector from the history, on this device, and adds it to what the model makes of every
        history: lists lean toward what was done before. The model itself stays as it is.
      </p>
      <div class="row">
        <button
          type="button"
          class="button"
          disabled={busy || history.length < 2}
          onClick={() => run(() => adapt(history))}
        >
          Adapt to my history
        </button>
        <button type="button" class="button" disabled={busy || !adapted} onClick={() => run(forget)}>
          Forget
        </button>
      </div>
      <p role="status" class="muted">
        {adapted
          ? `Adapted to ${plural(adapted.events, 'step')} of the history: their loss went from ${adapted.before.toFixed(2)} to ${adapted.after.toFixed(2)}.`
          : busy
            ? 'Adapting …'
            : history.length < 2
              ? 'It takes two items of the history at least.'
              : "Not adapted: lists are the model's own."}
      </p>
      {error && <Notice kind="error">{error}</Notice>}
    </section>
  );
}
