/** Fields for settings, made from their declarations. */
import { faultOf, labelOf, type Setting, allowedValues } from '../../model/recipes/setting.ts';
import { changePlan } from '../actions.ts';
import { planState } from '../state.ts';
import { useStore } from '../store.ts';
import type { SettingGroup } from '../worker/contract.ts';
import { Field } from './components.tsx';

/** A group of settings, shown when it is opened. */
export function SettingFields({
  group,
  recipe,
}: {
  group: SettingGroup;
  recipe: Record<string, number | string> | null;
}) {
  const { plan, refused } = useStore(planState, (state) => state);
  const change = (name: string, value: string) => {
    const { [name]: _, ...others } = plan.settings;
    changePlan({ settings: value === '' ? others : { ...others, [name]: value } });
  };
  return (
    <details>
      <summary>{group.title}</summary>
      <div class="fields">
        {Object.entries(group.settings).map(([name, setting]) => (
          <SettingField
            key={name}
            name={name}
            setting={setting}
            value={plan.settings[name] ?? ''}
            initial={recipe ? `${recipe[name]} (recipe)` : 'automatic'}
            refused={refused?.setting === `settings.${name}` ? refused.text : null}
            onChange={(value) => change(name, value)}
          />
        ))}
      </div>
    </details>
  );
}

interface SettingFieldProps {
  name: string;
  setting: Setting;
  /** Empty: as the recipe has it. */
  value: string;
  /** What an empty field stands for. */
  initial: string;
  /** Why a training with this value was refused. */
  refused: string | null;
  onChange: (value: string) => void;
}

function SettingField({ name, setting, value, initial, refused, onChange }: SettingFieldProps) {
  const fault = refused ?? (value === '' ? null : faultOf(setting, value));
  return (
    <Field label={labelOf(name, setting)} help={helpOf(setting, value)} fault={fault}>
      {(ids) => {
        // The browser sends no form with a fault, and leads to the field.
        const validity = (control: HTMLInputElement | HTMLSelectElement | null) =>
          control?.setCustomValidity(fault ?? '');
        return 'choices' in setting ? (
          <select {...ids} name={name} ref={validity} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
            <option value="">{initial}</option>
            {setting.choices.map((choice) => (
              <option key={choice}>{choice}</option>
            ))}
          </select>
        ) : (
          <input
            {...ids}
            name={name}
            ref={validity}
            type="text"
            inputMode="decimal"
            value={value}
            placeholder={initial}
            onInput={(e) => onChange(e.currentTarget.value)}
          />
        );
      }}
    </Field>
  );
}

/** What the setting means, and what it may be, or what the choice means. */
function helpOf(setting: Setting, value: string): string {
  if (!('choices' in setting)) return `${setting.help}: ${allowedValues(setting)}; default ${setting.default}`;
  const meaning = setting.meanings?.[value || setting.default];
  return `${setting.help}; default ${setting.default}${meaning ? `. ${value || setting.default}: ${meaning}` : ''}`;
}
