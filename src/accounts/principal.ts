/** The authenticated caller of a request: all that routes and services know about them. */
export interface Principal {
  /** Appears in the names of tuned models. */
  organization: string;
  /** Owns the files, jobs and models that its requests create, and sees no others. */
  project: string;
}
