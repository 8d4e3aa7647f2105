/** What to train: a recipe, a few choices, and every setting that is declared. */
import { useEffect, useRef } from 'preact/hooks';
import { changePlan, startTraining } from '../actions.ts';
import { engine } from '../engine.ts';
import { countText } from '../format.ts';
import { appState, dataState, planState } from '../state.ts';
import { useStore } from '../store.ts';
import { Field, Notice } from './components.tsx';
import { SettingFields } from './settings.tsx';

const numberOrNull = (text: string): number | null => (text === '' ? null : Number(text));

/** Opens what hides a control. */
function reveal(control: EventTarget | null): void {
  for (let at = control as Element | null; at; at = at.parentElement)
    if (at instanceof HTMLDetailsElement) at.open = true;
}

export function TrainingForm() {
  const analysis = useStore(dataState, (state) => state.analysis);
  const cpu = useStore(appState, (state) => state.device?.backend === 'cpu');
  const { plan, form, refused } = useStore(planState, (state) => state);
  const element = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (!form)
      void engine()
        .trainingForm()
        .then((found) => planState.set({ form: found }));
  }, []);
  useEffect(() => {
    if (refused) element.current?.reportValidity();
  }, [refused]);
  const recipe = form?.recipes.find(({ name }) => name === plan.recipe);
  return (
    <form
      ref={element}
      class="card stack"
      onInvalidCapture={(event) => reveal(event.target)}
      onSubmit={(event) => {
        event.preventDefault();
        void startTraining();
      }}
    >
      <p class="muted">
        {analysis?.source}: {countText(analysis?.users ?? 0)} users, {countText(analysis?.items ?? 0)} items,{' '}
        {countText(analysis?.interactions ?? 0)} interactions.
      </p>
      {refused && (
        <Notice kind="error" title="This cannot be trained as it is.">
          {refused.text}
        </Notice>
      )}
      {cpu && (
        <Notice kind="warn">
          On the CPU a small model takes minutes where a graphics card takes seconds: d 16 and window 20 are a good
          start.
        </Notice>
      )}
      <div class="fields">
        <Field label="Name of the model">
          {(ids) => (
            <input
              {...ids}
              type="text"
              required
              value={plan.name}
              onInput={(e) => changePlan({ name: e.currentTarget.value })}
            />
          )}
        </Field>
        <Field label="Recipe" help={recipe?.summary ?? 'From the size of the log'}>
          {(ids) => (
            <select
              {...ids}
              value={plan.recipe ?? ''}
              onChange={(e) => changePlan({ recipe: e.currentTarget.value || null })}
            >
              <option value="">what suits the log</option>
              {form?.recipes.map(({ name }) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Most minutes" help="Empty: until it no longer improves">
          {(ids) => (
            <input
              {...ids}
              type="number"
              min={0.1}
              step="any"
              value={plan.minutes ?? ''}
              onInput={(e) => changePlan({ minutes: numberOrNull(e.currentTarget.value) })}
            />
          )}
        </Field>
        <Field label="Epochs" help="Rounds over the data. Empty: until it no longer improves">
          {(ids) => (
            <input
              {...ids}
              type="number"
              min={1}
              value={plan.epochs ?? ''}
              onInput={(e) => changePlan({ epochs: numberOrNull(e.currentTarget.value) })}
            />
          )}
        </Field>
      </div>
      <label class="check">
        <input
          type="checkbox"
          checked={plan.includeSeen}
          onChange={(e) => changePlan({ includeSeen: e.currentTarget.checked })}
        />
        Items already in a history may be recommended again
      </label>
      <details class="stack">
        <summary>More settings</summary>
        <div class="fields">
          <Field label="Seed" help="The same seed on the same device gives the same model">
            {(ids) => (
              <input
                {...ids}
                type="number"
                value={plan.seed}
                onInput={(e) => changePlan({ seed: Number(e.currentTarget.value) })}
              />
            )}
          </Field>
        </div>
        {form?.groups.map((group) => (
          <SettingFields key={group.title} group={group} recipe={recipe?.settings ?? null} />
        ))}
      </details>
      <div class="row">
        <button type="submit" class="button primary">
          Start training
        </button>
      </div>
    </form>
  );
}
