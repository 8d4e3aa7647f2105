/** Small components that pages are made of. */
import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';

export function Notice({
  kind,
  title,
  children,
}: {
  kind: 'info' | 'warn' | 'error';
  title?: string;
  children?: ComponentChildren;
}) {
  return (
    <div class={`notice ${kind}`} role={kind === 'error' ? 'alert' : 'status'}>
      {title && <strong>{title}</strong>}
      {children && <div>{children}</div>}
    </div>
  );
}

export function Spinner({ label }: { label: string }) {
  return (
    <p class="spinner" role="status">
      <span aria-hidden="true" />
      {label} …
    </p>
  );
}

/** A labeled number, large. */
export function Stat({ label, value, hint }: { label: string; value: string; hint?: string }) {
  return (
    <div class="stat">
      <dt>{label}</dt>
      <dd>
        {value}
        {hint && <small>{hint}</small>}
      </dd>
    </div>
  );
}

export function ProgressBar({ share, label }: { share: number | null; label: string }) {
  return <progress aria-label={label} {...(share === null ? {} : { value: share })} max={1} />;
}

/** A label, its control, and a help text. */
export function Field({
  label,
  help,
  fault = null,
  children,
}: {
  label: string;
  help?: string;
  /** What is wrong with its value; shown in place of the help. */
  fault?: string | null;
  children: (ids: { id: string; 'aria-describedby'?: string; 'aria-invalid'?: boolean }) => ComponentChildren;
}) {
  const text = fault ?? help;
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, 'aria-describedby': text ? `${id}-help` : undefined, 'aria-invalid': fault ? true : undefined })}
      {text && (
        <p class={fault ? 'help fault' : 'help'} id={`${id}-help`}>
          {text}
        </p>
      )}
    </div>
  );
}

/** A button that asks for a file. */
export function FileButton({
  children,
  onFile,
  class: className = 'button',
  accept,
}: {
  children: ComponentChildren;
  onFile: (file: File) => void;
  class?: string;
  accept?: string;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <button type="button" class={className} onClick={() => input.current?.click()}>
        {children}
      </button>
      <input
        ref={input}
        type="file"
        class="visually-hidden"
        tabIndex={-1}
        aria-hidden="true"
        accept={accept}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) onFile(file);
          event.currentTarget.value = '';
        }}
      />
    </>
  );
}

/** Bars of a distribution, drawn in SVG, with its numbers for screen readers. */
export function Bars({ label, bars }: { label: string; bars: { label: string; value: number; text: string }[] }) {
  const most = bars.reduce((largest, { value }) => Math.max(largest, value), 1);
  const [height, wide] = [96, 470];
  const step = Math.max(36, Math.min(94, wide / bars.length));
  return (
    <svg
      class="bars"
      viewBox={`0 0 ${bars.length * step} ${height + 22}`}
      preserveAspectRatio="xMinYMid"
      role="img"
      aria-label={label}
    >
      {bars.map((bar, i) => {
        const tall = bar.value === 0 ? 0 : Math.max(2, (bar.value / most) * height);
        return (
          <g key={bar.label}>
            <title>{bar.text}</title>
            <rect x={i * step + 3} y={height - tall} width={step - 6} height={tall} rx={2} />
            <text x={i * step + step / 2} y={height + 15} text-anchor="middle">
              {bar.label}
            </text>
          </g>
        );
      })}
    </svg>
  );
}

export function Attributes({ of }: { of: Record<string, string> }) {
  const entries = Object.entries(of).slice(0, 4);
  if (entries.length === 0) return null;
  return (
    <div class="tags">
      {entries.map(([name, value]) => (
        <span key={name} title={name}>
          {value.length > 60 ? `${value.slice(0, 60)}…` : value}
        </span>
      ))}
    </div>
  );
}

/** How much something contributes, as a bar in a list. @param part 0 to 1, the length of the bar */
export function Share({
  label,
  name,
  part,
  text,
  against = false,
}: {
  label: ComponentChildren;
  /** The label and the text, for screen readers. */
  name: string;
  part: number;
  text: string;
  against?: boolean;
}) {
  return (
    <li class="share">
      <span>{label}</span>
      <meter class={against ? 'against' : ''} min={0} max={1} value={part} aria-label={name} />
      <span class="muted">{text}</span>
    </li>
  );
}
