/** The mix of an attribute in the history and in the list, and how much the list follows it. */
import { percent } from '../format.ts';
import type { Mix } from '../worker/mix.ts';
import type { OpenedModel } from '../worker/recommending.ts';
import { Field } from './components.tsx';

export interface CalibrationChoice {
  /** Attribute whose mix is shown, '' for none. */
  mix: string;
  /** How much it counts, 0 to 1. */
  calibration: number;
}

/** Values that are shown. */
const SHOWN = 8;

export function CalibrationCard({
  model,
  options,
  mix,
  onChange,
}: {
  model: OpenedModel;
  options: CalibrationChoice;
  /** Of the list that is shown; null before there is one. */
  mix: Mix | null;
  onChange: (change: Partial<CalibrationChoice>) => void;
}) {
  return (
    <section class="card stack" aria-labelledby="mix-title">
      <h2 id="mix-title">The mix of the history</h2>
      <Field
        label="Keep the mix of"
        help="The list has the attribute's values in about the proportions of the history."
      >
        {(ids) => (
          <select {...ids} value={options.mix} onChange={(event) => onChange({ mix: event.currentTarget.value })}>
            <option value="">nothing</option>
            {model.mixes.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        )}
      </Field>
      {options.mix !== '' && (
        <Field label={`Weight: ${percent(options.calibration)}`} help="How much the mix counts against the score.">
          {(ids) => (
            <input
              {...ids}
              type="range"
              min={0}
              max={1}
              step={0.05}
              value={options.calibration}
              onInput={(event) => onChange({ calibration: Number(event.currentTarget.value) })}
            />
          )}
        </Field>
      )}
      {mix && (
        <>
          <div class="scroll">
            <table aria-labelledby="mix-title">
              <thead>
                <tr>
                  <th scope="col">{options.mix}</th>
                  <th scope="col" class="number">
                    History
                  </th>
                  <th scope="col" class="number">
                    List
                  </th>
                </tr>
              </thead>
              <tbody>
                {mix.values.slice(0, SHOWN).map(({ value, history, list }) => (
                  <tr key={value}>
                    <th scope="row" class="plain">
                      {value}
                    </th>
                    <td class="number">{percent(history)}</td>
                    <td class="number">{percent(list)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {mix.miscalibration !== null && (
            <p class="muted">Apart by {mix.miscalibration.toFixed(2)} (KL divergence; 0: the same mix).</p>
          )}
        </>
      )}
    </section>
  );
}
