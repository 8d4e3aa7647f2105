/** Maps of attention over a history, all layers together or a head at a time. */
import { useState } from 'preact/hooks';
import { Heatmap } from './heatmap.tsx';
import { Field } from './components.tsx';
import type { AttentionFacts } from '../worker/recommending.ts';

export function AttentionMap({ attention }: { attention: AttentionFacts }) {
  const [which, setWhich] = useState('rollout');
  const [layer, head] = which.split(' ').map(Number);
  const rows = attention.rows[layer]?.[head] ?? attention.rollout;
  return (
    <>
      <div class="fields">
        <Field label="Layer and head">
          {(ids) => (
            <select {...ids} value={which} onChange={(event) => setWhich(event.currentTarget.value)}>
              <option value="rollout">all layers together (roll-out)</option>
              {attention.rows.flatMap((heads, of) =>
                heads.map((_, at) => (
                  <option key={`${of} ${at}`} value={`${of} ${at}`}>
                    layer {of + 1}, head {at + 1}
                  </option>
                )),
              )}
            </select>
          )}
        </Field>
      </div>
      <Heatmap rows={rows} titles={attention.titles} tokens={attention.tokens} />
      <p class="muted">
        Row: the event that looks. Column: the event that it looks at. The last row is what recommendations are made
        from.
        {attention.pointwise && " This model's attention is pointwise: its weights are no shares."}
      </p>
    </>
  );
}
