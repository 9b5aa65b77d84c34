/** Who calls: what authentication learns from a request, and all that routes and services know of its sender. */
export interface Principal {
  /** Owns the files, jobs and models that its requests make, and sees those alone. */
  organization: string;
}
