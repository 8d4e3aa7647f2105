/** Models: those in this browser, and how they come and go. */
import { useRef, useState } from 'preact/hooks';
import { deleteModel, exportModel, importModel, resume } from '../actions.ts';
import { messageOf } from '../engine.ts';
import { bytes, countText, date, figure } from '../format.ts';
import { appState } from '../state.ts';
import { useStore } from '../store.ts';
import { FileButton, Notice, Spinner } from '../ui/components.tsx';
import type { ModelEntry } from '../worker/contract.ts';

type Picker = () => Promise<FileSystemDirectoryHandle>;

export function ModelsPage() {
  const { models, modelsError } = useStore(appState, (state) => state);
  const [error, setError] = useState<{ title?: string; text: string } | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const take = async (source: File | File[] | FileSystemDirectoryHandle, name: string) => {
    setError(null);
    setDone(null);
    try {
      setDone(await importModel(source, name));
    } catch (reason) {
      setError({ title: 'This is no model that can be opened.', text: messageOf(reason) });
    }
  };
  const failed = (text: string) => setError({ text });
  return (
    <div class="page">
      <div class="page-head">
        <h1>Models</h1>
        <div class="row">
          <FileButton
            accept=".attune,.zip"
            onFile={(file) => void take(file, file.name.replace(/\.(attune|zip)$/, ''))}
          >
            Open an .attune file
          </FileButton>
          <FolderButton onFolder={take} onError={failed} />
        </div>
      </div>
      <p class="lead">
        A model is a folder, the same everywhere: what <code>attune train</code> makes opens here, and what is trained
        here is taken up by <code>attune recommend --model</code>, packed in one file.
      </p>
      {error && (
        <Notice kind="error" title={error.title}>
          {error.text}
        </Notice>
      )}
      {modelsError && <Notice kind="error">{modelsError}</Notice>}
      {done && (
        <Notice kind="info">
          "{done}" is in this browser now. <a href={`#/recommend?model=${encodeURIComponent(done)}`}>Ask it</a>
        </Notice>
      )}
      {models === null && <Spinner label="Looking for models" />}
      {models?.length === 0 && (
        <div class="card empty">
          <h2>Nothing here yet</h2>
          <p class="muted">Train a model, or open one that was trained elsewhere.</p>
          <a class="button primary" href="#/data">
            Choose data
          </a>
        </div>
      )}
      {models?.map((model) => (
        <Model key={model.id} model={model} onError={failed} />
      ))}
    </div>
  );
}

/** The folder's handle where the browser gives one, its files elsewhere. */
function FolderButton({
  onFolder,
  onError,
}: {
  onFolder: (source: File[] | FileSystemDirectoryHandle, name: string) => Promise<void>;
  onError: (message: string) => void;
}) {
  const input = useRef<HTMLInputElement>(null);
  const pick = async () => {
    const picker = (globalThis as { showDirectoryPicker?: Picker }).showDirectoryPicker;
    if (!picker) {
      input.current?.click();
      return;
    }
    try {
      const folder = await picker();
      await onFolder(folder, folder.name);
    } catch (reason) {
      if ((reason as DOMException).name !== 'AbortError') onError(messageOf(reason));
    }
  };
  return (
    <>
      <button type="button" class="button" onClick={pick}>
        Open a model folder
      </button>
      <input
        ref={(element) => {
          input.current = element;
          element?.setAttribute('webkitdirectory', '');
        }}
        type="file"
        multiple
        class="visually-hidden"
        tabIndex={-1}
        aria-hidden="true"
        data-testid="folder"
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = '';
          if (files.length > 0) void onFolder(files, files[0].webkitRelativePath.split('/')[0] || 'model');
        }}
      />
    </>
  );
}

function Model({ model, onError }: { model: ModelEntry; onError: (message: string) => void }) {
  const [sure, setSure] = useState(false);
  const [busy, setBusy] = useState(false);
  const unfinished = model.state === 'paused' || model.state === 'running';
  const attempt = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setSure(false);
    try {
      await work();
    } catch (reason) {
      onError(messageOf(reason));
    } finally {
      setBusy(false);
    }
  };
  return (
    <article class="card stack" aria-labelledby={`model-${model.id}`}>
      <div class="page-head">
        <div>
          <h2 id={`model-${model.id}`}>{model.name}</h2>
          <p class="muted">
            {model.recipe} on {model.source}: {countText(model.users)} users, {countText(model.items)} items,{' '}
            {countText(model.interactions)} interactions
          </p>
        </div>
        <p class="muted">
          {date(model.created)} · {bytes(model.bytes)} · NDCG@10 {figure(model.ndcg)}
        </p>
      </div>
      <div class="row">
        {model.ready && (
          <a class="button small" href={`#/recommend?model=${encodeURIComponent(model.id)}`}>
            Recommend
          </a>
        )}
        {model.ready && (
          <a class="button small" href={`#/inside?model=${encodeURIComponent(model.id)}`}>
            Look inside
          </a>
        )}
        {model.ready && (
          <button
            type="button"
            class="button small"
            disabled={busy}
            onClick={() => attempt(() => exportModel(model.id, false))}
          >
            Export
          </button>
        )}
        {unfinished && (
          <button
            type="button"
            class="button small"
            onClick={() => {
              location.hash = '#/train';
              void resume(model.id);
            }}
          >
            Continue training
          </button>
        )}
        {sure ? (
          <>
            <span>Delete it for good?</span>
            <button type="button" class="button small danger" onClick={() => attempt(() => deleteModel(model.id))}>
              Delete
            </button>
            <button type="button" class="button small" onClick={() => setSure(false)}>
              Keep it
            </button>
          </>
        ) : (
          <button type="button" class="button small" aria-label={`Delete ${model.name}`} onClick={() => setSure(true)}>
            Delete
          </button>
        )}
      </div>
    </article>
  );
}
