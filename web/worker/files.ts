/** A model's folder in the origin's private file system, with the page's own files about the model. */
import { InputError } from '../../data/errors.ts';
import { checkName } from '../../model/storage/files.ts';
import { DirectoryFiles } from '../../recommend/sources/files.browser.ts';

export class FolderFiles extends DirectoryFiles {
  private readonly handle: FileSystemDirectoryHandle;

  constructor(handle: FileSystemDirectoryHandle) {
    super(handle);
    this.handle = handle;
  }

  /** The file, not yet read; null if there is none. */
  async file(name: string): Promise<File | null> {
    checkName(name);
    try {
      return await (await this.handle.getFileHandle(name)).getFile();
    } catch (error) {
      if ((error as DOMException).name === 'NotFoundError') return null;
      throw error;
    }
  }

  /** Replaces a file by the content of another, in chunks. @throws InputError if the storage is full */
  async copyOf(file: File, name: string): Promise<void> {
    checkName(name);
    const stream = await (await this.handle.getFileHandle(name, { create: true })).createWritable();
    try {
      await file.stream().pipeTo(stream); // closes it
    } catch (error) {
      if ((error as DOMException).name !== 'QuotaExceededError') throw error;
      throw new InputError(
        'file-access',
        `${file.name}: the browser gives this page no room to keep it for continuing later`,
        { hint: 'delete a model that is no longer needed' },
      );
    }
  }
}
