/** What the client may upload a file for. Jobs take `fine-tune` alone; files of the other purposes are only stored. */
export const UPLOAD_PURPOSES = ['fine-tune', 'assistants', 'batch', 'vision', 'user_data', 'evals'] as const;
export type UploadPurpose = (typeof UPLOAD_PURPOSES)[number];

/** Jobs make files of their own, too. */
export type FilePurpose = UploadPurpose | 'fine-tune-results';

export const isUploadPurpose = (text: string): text is UploadPurpose => (UPLOAD_PURPOSES as readonly string[]).includes(text);

/** Datasets are read before they count; the rest is only stored. */
export const statusAtFirst = (purpose: UploadPurpose) => (purpose === 'fine-tune' ? 'uploaded' : 'processed');
